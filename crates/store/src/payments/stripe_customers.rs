//! The Stripe customers of workspaces.

use domain::payments::PaymentStatus;
use domain::{AppError, PaymentId, WorkspaceId};
use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use super::purpose;
use crate::db::Db;
use crate::db::entity::{self, payment, stripe_customer};

/// A workspace's Stripe customer.
pub use crate::db::entity::stripe_customer::Model as StripeCustomer;

pub async fn find(db: &Db, workspace: WorkspaceId) -> Result<Option<StripeCustomer>, AppError> {
    let row = entity::StripeCustomer::find_by_id(workspace);
    Ok(row.one(db.read()).await?)
}

/// Stores a new customer and returns it, or the one that another request stored first.
pub async fn add(
    db: &Db,
    workspace: WorkspaceId,
    customer: String,
) -> Result<StripeCustomer, AppError> {
    let row = stripe_customer::ActiveModel {
        workspace_id: Set(workspace),
        customer_id: Set(customer),
        card_of: Set(None),
    };
    let tx = db.begin().await?;
    entity::StripeCustomer::insert(row)
        .on_conflict(
            OnConflict::column(stripe_customer::Column::WorkspaceId)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(&tx)
        .await?;
    tx.commit().await?;
    find(db, workspace).await?.ok_or(AppError::NotFound)
}

/// Records the payment whose card is the customer's default.
pub async fn set_card_of(
    db: &Db,
    workspace: WorkspaceId,
    payment: PaymentId,
) -> Result<(), AppError> {
    let tx = db.begin().await?;
    entity::StripeCustomer::update_many()
        .col_expr(stripe_customer::Column::CardOf, Expr::value(Some(payment)))
        .filter(stripe_customer::Column::WorkspaceId.eq(workspace))
        .exec(&tx)
        .await?;
    tx.commit().await
}

pub async fn delete(db: &Db, workspace: WorkspaceId) -> Result<(), AppError> {
    let tx = db.begin().await?;
    entity::StripeCustomer::delete_by_id(workspace)
        .exec(&tx)
        .await?;
    tx.commit().await
}

/// Customers of workspaces that were deleted, at most `most`.
pub async fn orphaned(db: &Db, most: u64) -> Result<Vec<StripeCustomer>, AppError> {
    let existing = Query::select()
        .column(entity::workspace::Column::Id)
        .from(entity::Workspace)
        .to_owned();
    Ok(entity::StripeCustomer::find()
        .filter(stripe_customer::Column::WorkspaceId.not_in_subquery(existing))
        .limit(most)
        .all(db.read())
        .await?)
}

/// The last payment on a page that saved the card.
pub async fn last_that_saved_card(
    db: &Db,
    workspace: WorkspaceId,
) -> Result<Option<payment::Model>, AppError> {
    use payment::Column;
    let paid = entity::Payment::find()
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::Status.eq(PaymentStatus::Paid))
        .filter(Column::CheckoutId.is_not_null())
        .order_by_desc(Column::FinishedAt)
        .all(db.read())
        .await?;
    for payment in paid {
        if purpose(&payment)?.keeps_card() {
            return Ok(Some(payment));
        }
    }
    Ok(None)
}

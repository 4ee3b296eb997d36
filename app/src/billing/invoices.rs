//! Invoices: one for each payment that went through, issued with it, numbered without gaps, and never changed.

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set,
};

use super::engine::locked;
use super::model::{Details, Seller};
use crate::catalog::Catalog;
use crate::db::Tx;
use crate::db::entity::{self, billing_details, invoice, payment};
use crate::domain::{AppError, Timestamp, WorkspaceId};
use crate::error_report::internal;

/// Issues the invoice of a payment that went through; told of it again, nothing happens. The subscription's lock makes
/// the numbers follow each other.
pub async fn issue(
    tx: &mut Tx,
    catalog: &Catalog,
    payment: &payment::Model,
    what: String,
    now: Timestamp,
) -> Result<(), AppError> {
    use invoice::Column;
    locked(tx, payment.workspace_id).await?;
    let there = entity::Invoice::find().filter(Column::PaymentId.eq(payment.id));
    if there.one(tx).await?.is_some() {
        return Ok(());
    }
    let last = entity::Invoice::find()
        .filter(Column::WorkspaceId.eq(payment.workspace_id))
        .order_by_desc(Column::Number)
        .one(tx)
        .await?;
    let workspace = entity::Workspace::find_by_id(payment.workspace_id)
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    let mut buyer = details(tx, payment.workspace_id).await?;
    if buyer.company.is_empty() {
        buyer.company = workspace.name;
    }
    let seller = catalog.seller.clone().unwrap_or_else(|| Seller {
        name: "Wheelhouse".to_owned(),
        ..Seller::default()
    });
    let json = |error| internal("an invoice", &error);
    invoice::ActiveModel {
        workspace_id: Set(payment.workspace_id),
        number: Set(last.map_or(1, |last| last.number + 1)),
        payment_id: Set(payment.id),
        what: Set(what),
        amount: Set(payment.amount),
        seller: Set(serde_json::to_value(seller).map_err(json)?),
        buyer: Set(serde_json::to_value(buyer).map_err(json)?),
        issued_at: Set(now),
    }
    .insert(tx)
    .await?;
    Ok(())
}

/// Whom a workspace's invoices are made out to, as far as it was said.
pub async fn details(
    db: &impl ConnectionTrait,
    workspace: WorkspaceId,
) -> Result<Details, AppError> {
    let row = entity::BillingDetails::find_by_id(workspace)
        .one(db)
        .await?;
    Ok(row.map_or_else(Details::default, |row| Details {
        company: row.company,
        address: row.address,
        vat_number: row.vat_number,
        email: row.email,
    }))
}

/// Says whom they are made out to from now on.
pub async fn set_details(
    tx: &Tx,
    workspace: WorkspaceId,
    details: &Details,
) -> Result<(), AppError> {
    use billing_details::Column;
    let row = billing_details::ActiveModel {
        workspace_id: Set(workspace),
        company: Set(details.company.clone()),
        address: Set(details.address.clone()),
        vat_number: Set(details.vat_number.clone()),
        email: Set(details.email.clone()),
    };
    entity::BillingDetails::insert(row)
        .on_conflict(
            OnConflict::column(Column::WorkspaceId)
                .update_columns([
                    Column::Company,
                    Column::Address,
                    Column::VatNumber,
                    Column::Email,
                ])
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

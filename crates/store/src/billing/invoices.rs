//! Invoices: one per successful payment, issued with the payment, numbered without gaps, and never changed.

use domain::catalog::Catalog;
use domain::subscriptions::{Details, Seller};
use domain::{AppError, Timestamp, WorkspaceId, internal};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set,
};

use crate::billing::subscriptions::locked;
use crate::db::Tx;
use crate::db::entity::{self, billing_details, invoice, payment};

/// Issues the invoice of a successful payment. A repeated call does nothing. The subscription's lock keeps the numbers
/// consecutive.
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

/// The billing details for a workspace's invoices, as far as they are given.
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

/// Sets the billing details for future invoices.
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

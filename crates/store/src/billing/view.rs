//! The data of the pages: the subscription, its payments, and an invoice.

use std::collections::HashMap;

use domain::billing::{BillingView, InvoiceView, Next, PAYMENTS, PaymentRow, invoice_number};
use domain::payments::PaymentStatus;
use domain::subscriptions::{SubscriptionStatus, Terms};
use domain::{AppError, PaymentId, Timestamp, internal};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QueryTrait};

use super::preview::preview;
use super::row::row;
use super::subscriptions::plan_in_use;
use super::{invoices, seats};
use crate::auth::{Actor, ReadPermit, can};
use crate::context::AppContext;
use crate::db::entity::{self, invoice, payment};
use crate::db::rows;
use crate::payments;

/// The page. `asked` is the choice to preview.
pub async fn view(
    ctx: &AppContext,
    actor: &ReadPermit<can::ManageBilling>,
    asked: Option<Terms>,
) -> Result<BillingView, AppError> {
    let (catalog, now) = (ctx.catalog(), Timestamp::now());
    let row = row(ctx, actor).await?;
    let seats_used = seats::used(ctx.db().read(), actor.workspace()).await?;
    let cdr_preview = match row.terms().filter(|_| row.is_running(now)) {
        Some(terms) => {
            let cdr_mode = !terms.cdr_mode;
            let other = Terms { cdr_mode, ..terms };
            preview(ctx, actor, &row, other, 0, now).await.ok()
        }
        None => None,
    };
    let (preview, refusal) = match asked {
        None => (None, None),
        Some(terms) => match preview(ctx, actor, &row, terms, seats_used, now).await {
            Ok(preview) => (Some(preview), None),
            Err(error @ AppError::Internal { .. }) => return Err(error),
            Err(error) => (None, Some(error.to_string())),
        },
    };
    let next = row.next_plan.as_ref().and_then(|_| row.next_terms());
    let next = next.and_then(|terms| {
        Some(Next {
            name: terms.name(catalog),
            cost: terms.price(catalog)?,
            terms,
        })
    });
    let terms = row.terms();
    let status = row.status_at(now);
    Ok(BillingView {
        workspace: actor.workspace(),
        payment: None,
        status,
        plan: plan_in_use(catalog, &row).cloned(),
        cost: terms.as_ref().and_then(|terms| terms.price(catalog)),
        terms,
        ends_at: row.ends_at,
        next,
        cancelled: row.cancelled,
        retry_at: row.due_at.filter(|_| status == SubscriptionStatus::PastDue),
        paying: row.payment_id.is_some(),
        balance: row.balance,
        seats_used,
        plans: catalog.plans.clone(),
        cdr_mode: catalog.cdr_mode.clone(),
        preview,
        cdr_preview,
        refusal,
        payments: list(ctx, actor).await?,
        details: invoices::details(ctx.db().read(), actor.workspace()).await?,
    })
}

async fn list(ctx: &AppContext, actor: &Actor) -> Result<Vec<PaymentRow>, AppError> {
    let query = entity::Payment::find()
        .filter(payment::Column::WorkspaceId.eq(actor.workspace()))
        // Abandoned payments are not listed.
        .filter(payment::Column::Status.is_in([
            PaymentStatus::Paid,
            PaymentStatus::Confirming,
            PaymentStatus::Declined,
        ]))
        .order_by_desc(payment::Column::Id)
        .into_query();
    let rows: Vec<payment::Model> = rows::up_to(PAYMENTS, query, ctx.db().read()).await?;
    let issued = entity::Invoice::find()
        .filter(invoice::Column::WorkspaceId.eq(actor.workspace()))
        .filter(invoice::Column::PaymentId.is_in(rows.iter().map(|row| row.id)))
        .into_query();
    let issued: Vec<invoice::Model> = rows::every(issued, ctx.db().read()).await?;
    let issued: HashMap<PaymentId, i64> = issued
        .into_iter()
        .map(|invoice| (invoice.payment_id, invoice.number))
        .collect();
    let payments = rows
        .into_iter()
        .map(|row| {
            let number = issued.get(&row.id);
            PaymentRow {
                invoice: number.map(|n| (*n, invoice_number(actor.workspace(), *n))),
                // An unreadable purpose is logged, but the payment is listed anyway.
                what: payments::purpose(&row)
                    .map_or_else(|_| "Payment".to_owned(), |purpose| purpose.describe()),
                id: row.id,
                amount: row.amount,
                refunded: row.refunded,
                disputed: row.disputed,
                status: row.status,
                at: row.finished_at.unwrap_or(row.created_at),
            }
        })
        .collect();
    Ok(payments)
}

/// An invoice of this workspace.
pub async fn invoice(
    ctx: &AppContext,
    actor: &ReadPermit<can::ManageBilling>,
    number: i64,
) -> Result<InvoiceView, AppError> {
    let row = entity::Invoice::find_by_id((actor.workspace(), number))
        .one(ctx.db().read())
        .await?
        .ok_or(AppError::NotFound)?;
    let payment = entity::Payment::find_by_id(row.payment_id);
    let payment = payment.one(ctx.db().read()).await?;
    let (refunded, disputed) = payment.map_or_else(Default::default, |payment| {
        (payment.refunded, payment.disputed)
    });
    let json = |error| internal("an invoice", &error);
    Ok(InvoiceView {
        number: invoice_number(row.workspace_id, row.number),
        what: row.what,
        amount: row.amount,
        seller: serde_json::from_value(row.seller).map_err(json)?,
        buyer: serde_json::from_value(row.buyer).map_err(json)?,
        issued_at: row.issued_at,
        refunded,
        disputed,
    })
}

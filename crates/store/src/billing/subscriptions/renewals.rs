//! Subscriptions that are due: their renewal, what follows if it is not paid, and their end.

use domain::catalog::{Catalog, EventType};
use domain::payments::PaymentPurpose;
use domain::subscriptions::{RETRIES, SubscriptionStatus, Terms, charge_for, with_owed};
use domain::{AppError, Money, Timestamp, WorkspaceId, days};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::json;

use super::changes::record_event;
use super::periods::start_next_period;
use super::row::{locked, save};
use super::trial::remind_or_end;
use crate::context::AppContext;
use crate::db::Tx;
use crate::db::entity::subscription::{self, Model as Subscription};
use crate::db::entity::{self, payment};
use crate::events::Origin;
use crate::payments::{NewPayment, insert_payment};

/// The maximum number of subscriptions in one round.
const BATCH_SIZE: u64 = 100;

/// Whether the subscription waits for this payment.
pub async fn waits_for(ctx: &AppContext, payment: &payment::Model) -> Result<bool, AppError> {
    let row = entity::Subscription::find_by_id(payment.workspace_id)
        .one(ctx.db().read())
        .await?;
    Ok(row.is_some_and(|row| row.payment_id == Some(payment.id)))
}

/// A renewal or change was not paid.
pub async fn not_paid(
    tx: &mut Tx,
    payment: &payment::Model,
    purpose: &PaymentPurpose,
    now: Timestamp,
) -> Result<(), AppError> {
    let Some(mut row) = locked(tx, payment.workspace_id).await? else {
        return Ok(());
    };
    if row.payment_id != Some(payment.id) {
        return Ok(());
    }
    row.payment_id = None;
    if matches!(purpose, PaymentPurpose::Renewal { .. }) {
        let gap = usize::try_from(row.declines)
            .ok()
            .and_then(|n| RETRIES.get(n));
        row.declines += 1;
        match gap {
            Some(gap) => {
                row.status = SubscriptionStatus::PastDue;
                row.due_at = Some(now.after(*gap));
            }
            None => return end(tx, row, now, "unpaid").await,
        }
    }
    save(tx, row).await
}

/// Ends the subscription and freezes the workspace.
pub async fn end(
    tx: &mut Tx,
    mut row: Subscription,
    at: Timestamp,
    why: &str,
) -> Result<(), AppError> {
    let (workspace, from) = (row.workspace_id, row.plan.clone());
    row.freeze(at);
    save(tx, row).await?;
    let data = json!({"from": from, "to": null, "why": why});
    record_event(
        tx,
        workspace,
        Origin::system(),
        EventType::BillingPlanChanged,
        data,
    )
    .await
}

/// Processes subscriptions that are due by `now`: sends trial reminders, ends trials, and stores renewals as payments,
/// which the payment loop then charges. Returns the number of subscriptions.
pub async fn process_due(ctx: &AppContext, now: Timestamp) -> Result<usize, AppError> {
    use subscription::Column;
    let due: Vec<WorkspaceId> = entity::Subscription::find()
        .filter(Column::DueAt.lte(now))
        .filter(Column::PaymentId.is_null())
        .order_by_asc(Column::DueAt)
        .limit(BATCH_SIZE)
        .select_only()
        .column(Column::WorkspaceId)
        .into_tuple()
        .all(ctx.db().read())
        .await?;
    for workspace in &due {
        // A failure does not block the others; the next round retries it.
        if let Err(error) = process_subscription(ctx, *workspace, now).await {
            tracing::warn!(%workspace, %error, "a subscription that is due could not be moved on");
        }
    }
    Ok(due.len())
}

async fn process_subscription(
    ctx: &AppContext,
    workspace: WorkspaceId,
    now: Timestamp,
) -> Result<(), AppError> {
    let mut tx = ctx.db().begin().await?;
    let row = locked(&tx, workspace).await?;
    // Another process may have processed it meanwhile.
    let waits =
        |row: &Subscription| row.payment_id.is_none() && row.due_at.is_some_and(|due| due <= now);
    if let Some(row) = row.filter(waits) {
        step(&mut tx, ctx.catalog(), row, now).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn step(
    tx: &mut Tx,
    catalog: &Catalog,
    row: Subscription,
    now: Timestamp,
) -> Result<(), AppError> {
    match row.status {
        SubscriptionStatus::Trial => remind_or_end(tx, row, now).await,
        SubscriptionStatus::Active if row.cancelled => {
            let at = row.ends_at;
            end(tx, row, at, "cancelled").await
        }
        SubscriptionStatus::Active | SubscriptionStatus::PastDue => {
            renew(tx, catalog, row, now).await
        }
        SubscriptionStatus::Frozen => {
            let due_at = None;
            save(tx, Subscription { due_at, ..row }).await
        }
    }
}

/// Stores the next month's payment.
async fn renew(
    tx: &mut Tx,
    catalog: &Catalog,
    mut row: Subscription,
    now: Timestamp,
) -> Result<(), AppError> {
    let on_offer = |terms: &Terms| terms.price(catalog).is_some();
    let terms = row.next_terms().filter(on_offer);
    let terms = terms.or_else(|| row.terms().filter(on_offer));
    let payer = row.payer_id.zip(row.payer_name.clone());
    let (Some(terms), Some((payer_id, payer_name))) = (terms, payer) else {
        tracing::error!(workspace = %row.workspace_id, plan = row.plan, "cannot be renewed: the catalogue does not have its plan any more");
        row.due_at = Some(now.after(days(1)));
        return save(tx, row).await;
    };
    let price = terms.price(catalog).unwrap_or_default();
    let (amount, balance) = charge_for(price, row.balance);
    if amount == Money::default() {
        let once = format!("balance {}", row.ends_at.millis());
        row.balance = row.balance - balance;
        return start_next_period(tx, catalog, row, &terms, (&once, now)).await;
    }
    let purpose = PaymentPurpose::Renewal {
        what: with_owed(format!("{}, 1 month", terms.name(catalog)), balance),
        ends_at: row.ends_at,
        balance,
        terms,
    };
    let payment = NewPayment {
        workspace: row.workspace_id,
        buyer: (payer_id, &payer_name),
        purpose: &purpose,
        amount,
        look_at: now,
    };
    row.payment_id = Some(insert_payment(tx, &payment).await?);
    row.due_at = None;
    save(tx, row).await
}

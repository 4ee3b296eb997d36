//! Paid periods: how a payment starts one, changes its terms, or extends it by a month.

use domain::catalog::Catalog;
use domain::subscriptions::{SubscriptionStatus, Terms, part};
use domain::{AppError, Money, Timestamp};

use super::changes::note_change;
use super::row::{locked, save};
use crate::auth::Unattended;
use crate::credits;
use crate::db::Tx;
use crate::db::entity::payment;
use crate::db::entity::subscription::Model as Subscription;
use crate::events::Origin;

/// A plan was paid, including `balance`. The first month starts immediately and is extended by the rest of the trial.
pub async fn subscribed(
    tx: &mut Tx,
    catalog: &Catalog,
    payment: &payment::Model,
    (terms, balance): (&Terms, Money),
    now: Timestamp,
) -> Result<(), AppError> {
    let Some(mut row) = locked(tx, payment.workspace_id).await? else {
        return Ok(());
    };
    if row.is_running(now) {
        return add_account_credit(tx, row, payment).await;
    }
    let before = row.terms();
    let trial = row.status == SubscriptionStatus::Trial;
    row.billing_cycle_anchor = if trial { row.ends_at.max(now) } else { now };
    row.months = 1;
    row.begins_at = now;
    row.ends_at = row.billing_cycle_anchor.months_after(1);
    row.payer_id = Some(payment.buyer_id);
    row.payer_name = Some(payment.buyer_name.clone());
    row.payment_id = None;
    row.balance = row.balance - balance;
    let buyer = Origin::person(payment.buyer_id, &payment.buyer_name);
    activate_period(tx, catalog, row, terms, &payment.id.to_string()).await?;
    let before = before.filter(|_| !trial);
    let change = (before.as_ref(), terms);
    note_change(
        tx,
        catalog,
        payment.workspace_id,
        &buyer,
        change,
        "subscribed",
    )
    .await
}

/// Credits a second payment during a paid month to the balance for later months. The balance is an amount of money,
/// because a month of one plan is not worth a month of another.
async fn add_account_credit(
    tx: &mut Tx,
    mut row: Subscription,
    payment: &payment::Model,
) -> Result<(), AppError> {
    row.balance = row.balance + payment.amount;
    // Stop waiting for this payment, or the subscription would never continue.
    row.payment_id = row.payment_id.filter(|id| *id != payment.id);
    save(tx, row).await
}

/// Deducts a reversed amount from the balance; a negative amount adds money that came back. The current period
/// continues. The next charge collects any debt.
pub async fn debit(tx: &Tx, mut row: Subscription, amount: Money) -> Result<(), AppError> {
    row.balance = row.balance - amount;
    save(tx, row).await
}

/// Starts a paid period.
async fn activate_period(
    tx: &mut Tx,
    catalog: &Catalog,
    mut row: Subscription,
    terms: &Terms,
    once: &str,
) -> Result<(), AppError> {
    row.status = SubscriptionStatus::Active;
    row.plan = Some(terms.plan.clone());
    row.cdr_mode = terms.cdr_mode;
    row.set_next(None);
    row.cancelled = false;
    row.freezes_at = None;
    row.declines = 0;
    row.due_at = Some(row.ends_at);
    let (workspace, until) = (row.workspace_id, row.ends_at);
    save(tx, row).await?;
    match catalog.plan(&terms.plan) {
        Some(plan) => credits::renew(Unattended::Worker, tx, workspace, plan, until, once).await?,
        None => {
            tracing::error!(plan = terms.plan, %workspace, "paid for a plan that the catalogue does not have any more");
        }
    }
    Ok(())
}

/// The rest of a month on better terms was paid. The plan's additional credits are granted in the same proportion.
pub async fn changed(
    tx: &mut Tx,
    catalog: &Catalog,
    payment: &payment::Model,
    (terms, ends_at): (&Terms, Timestamp),
    now: Timestamp,
) -> Result<(), AppError> {
    let Some(row) = locked(tx, payment.workspace_id).await? else {
        return Ok(());
    };
    if !row.is_running(now) || row.ends_at != ends_at {
        // The bank's confirmation took longer than the month.
        return add_account_credit(tx, row, payment).await;
    }
    let buyer = Origin::person(payment.buyer_id, &payment.buyer_name);
    apply(
        tx,
        catalog,
        row,
        terms,
        &buyer,
        (&payment.id.to_string(), now),
    )
    .await
}

/// Applies better terms for the rest of the month. `once` identifies the change.
pub async fn apply(
    tx: &mut Tx,
    catalog: &Catalog,
    mut row: Subscription,
    terms: &Terms,
    origin: &Origin,
    (once, now): (&str, Timestamp),
) -> Result<(), AppError> {
    let workspace = row.workspace_id;
    let before = row.terms();
    let credits_of = |terms: &Terms| {
        let plan = catalog.plan(&terms.plan);
        plan.map_or(0, |plan| i64::from(plan.credits))
    };
    let more = credits_of(terms) - before.as_ref().map_or(0, credits_of);
    let more = part(
        more.max(0),
        row.ends_at.since(now),
        row.ends_at.since(row.begins_at),
    );
    row.plan = Some(terms.plan.clone());
    row.cdr_mode = terms.cdr_mode;
    row.set_next(None);
    row.cancelled = false;
    row.freezes_at = None;
    row.payment_id = None;
    let ends_at = row.ends_at;
    save(tx, row).await?;
    if let Some(plan) = catalog.plan(&terms.plan)
        && let Ok(more @ 1..) = u32::try_from(more)
    {
        credits::add_to_plan(tx, workspace, (plan, more), ends_at, once).await?;
    }
    note_change(
        tx,
        catalog,
        workspace,
        origin,
        (before.as_ref(), terms),
        "changed",
    )
    .await
}

/// Payment succeeded for the month that was due at `ends_at`, with its deduction from the balance.
pub async fn renewed(
    tx: &mut Tx,
    catalog: &Catalog,
    payment: &payment::Model,
    (terms, ends_at, balance): (&Terms, Timestamp, Money),
    now: Timestamp,
) -> Result<(), AppError> {
    let Some(mut row) = locked(tx, payment.workspace_id).await? else {
        return Ok(());
    };
    if row.ends_at != ends_at {
        // Somebody paid manually while the card was being charged.
        return add_account_credit(tx, row, payment).await;
    }
    row.balance = row.balance - balance;
    start_next_period(tx, catalog, row, terms, (&payment.id.to_string(), now)).await
}

/// Starts the next month at the end of the last one, so that the day of the month stays the same. If no charge ran and
/// that month is over too, the month starts now. `once` identifies the payment.
pub(super) async fn start_next_period(
    tx: &mut Tx,
    catalog: &Catalog,
    mut row: Subscription,
    terms: &Terms,
    (once, now): (&str, Timestamp),
) -> Result<(), AppError> {
    let (before, workspace) = (row.terms(), row.workspace_id);
    row.payment_id = None;
    row.months += 1;
    row.begins_at = row.ends_at;
    let months = u32::try_from(row.months).unwrap_or(1);
    row.ends_at = row.billing_cycle_anchor.months_after(months);
    if row.ends_at <= now {
        (row.billing_cycle_anchor, row.months, row.begins_at) = (now, 1, now);
        row.ends_at = now.months_after(1);
    }
    activate_period(tx, catalog, row, terms, once).await?;
    let change = (before.as_ref(), terms);
    note_change(tx, catalog, workspace, &Origin::system(), change, "began").await
}

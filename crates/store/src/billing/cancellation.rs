//! Ends a subscription, and undoes that before the paid period ends.

use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::subscriptions::SubscriptionStatus;
use domain::{AppError, Timestamp};
use serde_json::json;

use super::row::{locked, no_payment_under_way};
use super::subscriptions;
use crate::auth::{Permit, Sensitive, can};
use crate::context::AppContext;

/// Ends the subscription at the end of the paid period, or immediately if no period is paid.
pub async fn cancel(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    now: Timestamp,
) -> Result<FormSuccess, AppError> {
    actor.person().require_fresh(Sensitive::Buy)?;
    let mut tx = ctx.db().begin().await?;
    let mut row = locked(&tx, actor).await?;
    if row.status == SubscriptionStatus::PastDue {
        no_payment_under_way(&row)?;
        subscriptions::end(&mut tx, row, now, "cancelled").await?;
        tx.commit().await?;
        return Ok(FormSuccess::with_message("Subscription cancelled"));
    }
    if !row.is_running(now) {
        return Err(AppError::Conflict(
            "There's no subscription to cancel.".to_owned(),
        ));
    }
    let at = row.ends_at;
    let said = FormSuccess::with_message(format!(
        "Subscription cancelled. You keep full access until {}.",
        at.date()
    ));
    if row.cancelled {
        return Ok(said);
    }
    row.cancelled = true;
    row.freezes_at = Some(at);
    let data = json!({"from": row.plan, "to": null, "why": "to_cancel", "at": at.date()});
    subscriptions::save(&tx, row).await?;
    let what = EventType::BillingPlanChanged;
    subscriptions::record_event(&mut tx, actor.workspace(), actor.into(), what, data).await?;
    tx.commit().await?;
    Ok(said)
}

/// Undoes a cancellation before the paid period ends.
pub async fn resume(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    now: Timestamp,
) -> Result<FormSuccess, AppError> {
    actor.person().require_fresh(Sensitive::Buy)?;
    let mut tx = ctx.db().begin().await?;
    let mut row = locked(&tx, actor).await?;
    if !row.is_running(now) {
        return Err(AppError::Conflict(
            "Your subscription has ended. Choose a plan to continue.".to_owned(),
        ));
    }
    let said = FormSuccess::with_message("Subscription resumed");
    if !row.cancelled {
        return Ok(said);
    }
    row.cancelled = false;
    row.freezes_at = None;
    let terms = row.next_terms();
    let data = json!({
        "from": null, "to": terms.as_ref().map(|terms| &terms.plan), "why": "resumed",
        "name": terms.map(|terms| terms.name(ctx.catalog())),
    });
    subscriptions::save(&tx, row).await?;
    let what = EventType::BillingPlanChanged;
    subscriptions::record_event(&mut tx, actor.workspace(), actor.into(), what, data).await?;
    tx.commit().await?;
    Ok(said)
}

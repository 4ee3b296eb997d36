//! Trials: how one starts, its reminders, and its end.

use domain::catalog::{Catalog, EventType};
use domain::subscriptions::{REMINDERS, SubscriptionStatus};
use domain::{AppError, Money, Timestamp, WorkspaceId, days};
use sea_orm::{ActiveModelTrait, IntoActiveModel};
use serde_json::json;

use super::changes::record_event;
use super::row::save;
use crate::db::Tx;
use crate::db::entity::subscription::Model as Subscription;
use crate::events::Origin;

/// Starts a workspace's trial.
pub async fn begin_trial(
    tx: &mut Tx,
    catalog: &Catalog,
    workspace: WorkspaceId,
) -> Result<(), AppError> {
    let now = Timestamp::now();
    let ends_at = now.after(days(catalog.trial_days.into()));
    let mut row = Subscription {
        workspace_id: workspace,
        status: SubscriptionStatus::Trial,
        plan: None,
        cdr_mode: false,
        billing_cycle_anchor: now,
        months: 0,
        begins_at: now,
        ends_at,
        next_plan: None,
        next_cdr_mode: None,
        cancelled: false,
        freezes_at: Some(ends_at),
        payer_id: None,
        payer_name: None,
        payment_id: None,
        balance: Money::default(),
        declines: 0,
        reminders: 0,
        due_at: None,
    };
    row.due_at = Some(row.trial_due(now));
    row.into_active_model().insert(tx).await?;
    Ok(())
}

pub(super) async fn remind_or_end(
    tx: &mut Tx,
    mut row: Subscription,
    now: Timestamp,
) -> Result<(), AppError> {
    let (workspace, ends_at) = (row.workspace_id, row.ends_at);
    if ends_at <= now {
        row.freeze(ends_at);
        save(tx, row).await?;
        let data = json!({"ended_at": ends_at.rfc3339()});
        return record_event(
            tx,
            workspace,
            Origin::system(),
            EventType::BillingTrialEnded,
            data,
        )
        .await;
    }
    let passed = REMINDERS
        .iter()
        .filter(|before| ends_at.before(**before) <= now);
    row.reminders = i64::try_from(passed.count()).unwrap_or_default();
    row.due_at = Some(row.trial_due(now));
    save(tx, row).await?;
    let days = ends_at.since(now).as_secs().div_ceil(86_400);
    let data = json!({"days": days, "ends_at": ends_at.rfc3339()});
    record_event(
        tx,
        workspace,
        Origin::system(),
        EventType::BillingTrialEnding,
        data,
    )
    .await
}

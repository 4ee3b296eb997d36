//! The events of subscriptions, and how a change of the terms is recorded.

use domain::catalog::{Catalog, EventType};
use domain::subscriptions::{Terms, plan_name};
use domain::{AppError, WorkspaceId};
use serde_json::{Value, json};

use crate::db::Tx;
use crate::events::{self, NewEvent, Origin};

/// Records an event of a subscription.
pub async fn record_event(
    tx: &mut Tx,
    workspace: WorkspaceId,
    origin: Origin,
    what: EventType,
    data: Value,
) -> Result<(), AppError> {
    events::record(tx, origin, NewEvent::in_workspace(workspace, what, data))
        .await
        .map(|_| ())
}

/// Records how the terms changed: the plan, CDR Mode, or both. `why` is one word: `subscribed`, `changed`, `began`.
pub async fn note_change(
    tx: &mut Tx,
    catalog: &Catalog,
    workspace: WorkspaceId,
    origin: &Origin,
    (from, to): (Option<&Terms>, &Terms),
    why: &str,
) -> Result<(), AppError> {
    if from.is_none_or(|from| from.plan != to.plan) {
        let data = json!({
            "from": from.map(|from| &from.plan), "to": to.plan, "name": plan_name(catalog, &to.plan), "why": why,
        });
        record_event(
            tx,
            workspace,
            origin.clone(),
            EventType::BillingPlanChanged,
            data,
        )
        .await?;
    }
    if from.is_some_and(|from| from.cdr_mode) != to.cdr_mode {
        let data = json!({"on": to.cdr_mode, "name": catalog.cdr_mode.name});
        record_event(
            tx,
            workspace,
            origin.clone(),
            EventType::BillingCdrModeChanged,
            data,
        )
        .await?;
    }
    Ok(())
}

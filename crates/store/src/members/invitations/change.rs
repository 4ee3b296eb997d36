//! What every change of an invitation needs: a fresh sign-in for some roles, and its event.

use domain::catalog::EventType;
use domain::{AppError, EventId, Role};
use serde_json::json;

use crate::auth::{Actor, Sensitive};
use crate::db::{Tx, entity};
use crate::events::{self, NewEvent};

/// Whoever may accept an invitation to manage the workspace will manage it.
pub(super) fn require_fresh_for(actor: &Actor, role: Role) -> Result<(), AppError> {
    if Sensitive::is_grant(None, role) {
        actor.person().require_fresh(Sensitive::GrantRole)?;
    }
    Ok(())
}

pub(super) async fn record_event(
    tx: &mut Tx,
    actor: &Actor,
    invitation: &entity::invitation::Model,
    event_type: EventType,
) -> Result<EventId, AppError> {
    let data =
        json!({"invitation": invitation.id, "email": invitation.email, "role": invitation.role});
    events::record(
        tx,
        actor,
        NewEvent::in_workspace(actor.workspace(), event_type, data),
    )
    .await
}

//! What every change of an invitation does: it checks the permission under the workspace's lock, and records an event.

use domain::catalog::EventType;
use domain::{AppError, EventId, Permission, Role};
use serde_json::json;

use crate::auth::{Actor, Permit, Sensitive, can, sessions};
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::events::{self, NewEvent};

/// Whoever may accept an invitation to manage the workspace will manage it.
pub(super) fn require_fresh_for(actor: &Actor, role: Role) -> Result<(), AppError> {
    if Sensitive::is_grant(None, role) {
        actor.person().require_fresh(Sensitive::GrantRole)?;
    }
    Ok(())
}

/// Begins a change of an invitation: one at a time with acceptances, and by someone who may still make it.
pub(super) async fn begin(
    ctx: &AppContext,
    actor: &Permit<can::InviteMembers>,
) -> Result<(Tx, Actor), AppError> {
    let tx = ctx.db().begin().await?;
    sessions::lock_workspace(&tx, actor.workspace()).await?;
    let actor = sessions::reload_actor(&tx, actor).await?;
    actor.require(Permission::InviteMembers)?;
    Ok((tx, actor))
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

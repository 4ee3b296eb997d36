//! Changes of pending and expired invitations: they are resent, cancelled and restored.

use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::members::UNDO;
use domain::{AppError, EventId, InvitationId, Permission, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::change::{record_event, require_fresh_for};
use super::sending::renew;
use crate::activity;
use crate::auth::{Actor, Permit, begin_change, can};
use crate::billing::seats;
use crate::context::AppContext;
use crate::db::entity::invitation::Column;
use crate::db::{Tx, entity, is_unique_violation};

/// An invitation of this workspace that was neither accepted nor cancelled.
async fn find_open(
    tx: &Tx,
    actor: &Actor,
    id: InvitationId,
) -> Result<entity::invitation::Model, AppError> {
    let invitation = entity::Invitation::find_by_id(id)
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    if invitation.accepted_at.is_some() {
        return Err(AppError::Conflict(
            "This invitation has already been accepted.".to_owned(),
        ));
    }
    if invitation.cancelled_at.is_some() {
        return Err(AppError::Conflict(
            "This invitation has already been cancelled.".to_owned(),
        ));
    }
    Ok(invitation)
}

pub async fn resend(
    ctx: &AppContext,
    actor: &Permit<can::InviteMembers>,
    id: InvitationId,
) -> Result<FormSuccess, AppError> {
    actor.person().require_confirmed()?;
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    let actor = &actor;
    let invitation = find_open(&tx, actor, id).await?;
    require_fresh_for(actor, invitation.role)?;
    ctx.limits()
        .invite(actor.person().id(), actor.workspace(), &invitation.email)?;
    if !actor.role().may_grant(invitation.role) {
        return Err(AppError::Forbidden {
            permission: Permission::OwnWorkspace,
        });
    }
    let email = invitation.email.clone();
    renew(&mut tx, ctx, actor, invitation, None).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message(format!(
        "Invitation resent to {email}. The old link no longer works."
    )))
}

pub async fn cancel(
    ctx: &AppContext,
    actor: &Permit<can::InviteMembers>,
    id: InvitationId,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    let actor = &actor;
    let invitation = find_open(&tx, actor, id).await?;
    entity::Invitation::update_many()
        .col_expr(Column::CancelledAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(id))
        .exec(&tx)
        .await?;
    let event = record_event(&mut tx, actor, &invitation, EventType::InvitationCancelled).await?;
    tx.commit().await?;
    Ok(
        FormSuccess::with_message(format!("Invitation to {} cancelled", invitation.email))
            .with_undo("/fn/undo_cancel_invitation", actor.workspace(), event),
    )
}

pub async fn undo_cancel(
    ctx: &AppContext,
    actor: &Permit<can::InviteMembers>,
    event: EventId,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    let actor = &actor;
    let undone =
        activity::undoable(&tx, actor, event, EventType::InvitationCancelled, UNDO).await?;
    seats::require_one(&tx, ctx.catalog(), actor.workspace()).await?;
    let id: InvitationId = undone.data["invitation"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .ok_or(AppError::NotFound)?;
    let restored = entity::Invitation::update_many()
        .col_expr(Column::CancelledAt, Expr::value(None::<Timestamp>))
        .filter(Column::Id.eq(id))
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .filter(Column::CancelledAt.is_not_null())
        .exec(&tx)
        .await
        .map_err(|error| {
            if is_unique_violation(&error) {
                AppError::Conflict("This person has been invited again since.".to_owned())
            } else {
                error.into()
            }
        })?;
    if restored.rows_affected == 0 {
        return Err(AppError::Conflict("Already undone.".to_owned()));
    }
    let invitation = entity::Invitation::find_by_id(id)
        .one(&tx)
        .await?
        .ok_or(AppError::NotFound)?;
    require_fresh_for(actor, invitation.role)?;
    record_event(&mut tx, actor, &invitation, EventType::MemberInvited).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message(format!(
        "Invitation to {} restored",
        invitation.email
    )))
}

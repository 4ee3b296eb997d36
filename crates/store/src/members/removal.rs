//! Removes members, and restores them.

use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::members::UNDO;
use domain::{AppError, EventId, MembershipId, Permission, Role, Timestamp, Topic, UserId};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, Set};
use serde_json::json;

use super::change::{find_member, keep_an_owner};
use crate::activity;
use crate::auth::{Actor, Permit, Sensitive, begin_change, can};
use crate::billing::seats;
use crate::context::AppContext;
use crate::db::{Tx, entity, is_unique_violation};
use crate::events::{self, NewEvent};
use crate::live::Invalidation;

pub async fn remove(
    ctx: &AppContext,
    actor: &Permit<can::ManageMembers>,
    member: MembershipId,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    let (member, user) = find_member(&tx, &actor, member).await?;
    if member.id == actor.membership() {
        return Err(AppError::Conflict(
            "To remove yourself, leave the workspace.".to_owned(),
        ));
    }
    if !actor.role().can_administer(member.role) {
        return Err(AppError::Forbidden {
            permission: Permission::OwnWorkspace,
        });
    }
    if member.role.is_owner() {
        actor.person().require_fresh(Sensitive::RemoveOwner)?;
    }
    keep_an_owner(&tx, &actor, member.role).await?;
    entity::Membership::delete_by_id(member.id)
        .exec(&tx)
        .await?;
    let data = json!({
        "member": member.id, "user": user.id, "name": user.name, "email": user.email, "role": member.role,
        "joined_at": member.joined_at, "last_active_at": member.last_active_at,
    });
    let event =
        NewEvent::in_workspace(actor.workspace(), EventType::MemberRemoved, data).about(user.id);
    let event = events::record(&mut tx, &actor, event).await?;
    tx.invalidate(Invalidation::user(user.id, Topic::Workspace));
    tx.commit().await?;
    Ok(
        FormSuccess::with_message(format!("{} removed", user.name)).with_undo(
            "/fn/undo_remove_member",
            actor.workspace(),
            event,
        ),
    )
}

/// Refuses to undo a removal if the person has joined or left since: it would undo something else.
async fn nothing_since(
    tx: &Tx,
    actor: &Actor,
    removal: EventId,
    user: &entity::user::Model,
) -> Result<(), AppError> {
    use entity::event::Column;
    let since = entity::Event::find()
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .filter(Column::EventType.is_in([EventType::MemberJoined, EventType::MemberRemoved]))
        .filter(Column::CreatedAt.gte(Timestamp::now().before(UNDO)))
        .filter(Column::Id.gt(removal))
        .all(tx)
        .await?;
    let id = user.id.to_string();
    if since
        .iter()
        .any(|event| event.data["user"].as_str() == Some(&id))
    {
        return Err(AppError::Conflict(format!(
            "{} has joined or left since. Undo is no longer available.",
            user.name
        )));
    }
    Ok(())
}

/// Restores a removed member as they were: same role, same join date, same last visit.
pub async fn undo_remove(
    ctx: &AppContext,
    actor: &Permit<can::ManageMembers>,
    event: EventId,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    let undone = activity::undoable(&tx, &actor, event, EventType::MemberRemoved, UNDO)
        .await?
        .data;
    let text = |key: &str| undone[key].as_str().unwrap_or_default();
    let gone = || AppError::NotFound;
    let member: MembershipId = text("member").parse().map_err(|_| gone())?;
    let user: UserId = text("user").parse().map_err(|_| gone())?;
    let role: Role = text("role").parse().map_err(|_| gone())?;
    if !actor.role().may_grant(role) {
        return Err(AppError::Forbidden {
            permission: Permission::OwnWorkspace,
        });
    }
    if Sensitive::is_grant(None, role) {
        actor.person().require_fresh(Sensitive::GrantRole)?;
    }
    let user = entity::User::find_by_id(user)
        .one(&tx)
        .await?
        .ok_or_else(gone)?;
    nothing_since(&tx, &actor, event, &user).await?;
    seats::require_one(&tx, ctx.catalog(), actor.workspace()).await?;
    entity::membership::ActiveModel {
        id: Set(member),
        workspace_id: Set(actor.workspace()),
        user_id: Set(user.id),
        role: Set(role),
        joined_at: Set(Timestamp::from_millis(
            undone["joined_at"].as_i64().unwrap_or_default(),
        )),
        last_active_at: Set(undone["last_active_at"]
            .as_i64()
            .map(Timestamp::from_millis)),
    }
    .insert(&tx)
    .await
    .map_err(|error| {
        if is_unique_violation(&error) {
            AppError::Conflict(format!("{} is already a member again.", user.name))
        } else {
            error.into()
        }
    })?;
    let data = json!({"member": member, "user": user.id, "name": user.name, "email": user.email, "role": role});
    let event =
        NewEvent::in_workspace(actor.workspace(), EventType::MemberJoined, data).about(user.id);
    events::record(&mut tx, &actor, event).await?;
    tx.invalidate(Invalidation::user(user.id, Topic::Workspace));
    tx.commit().await?;
    Ok(FormSuccess::with_message(format!("{} restored", user.name)))
}

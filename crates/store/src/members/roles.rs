//! Changes of roles.

use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::members::UNDO;
use domain::{AppError, EventId, MembershipId, Permission, Role, Secret, Topic};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use super::change::{find_member, keep_an_owner};
use crate::activity;
use crate::auth::{Actor, Permit, RequestInfo, Sensitive, begin_change, can, sessions};
use crate::context::AppContext;
use crate::db::entity::membership::Column;
use crate::db::{Tx, entity};
use crate::events::{self, NewEvent};
use crate::live::Invalidation;

/// Whether a role change adds or removes an owner, which only owners can do.
fn is_about_ownership(from: Role, to: Role) -> bool {
    from.is_owner() || to.is_owner()
}

pub async fn change_role(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::ManageMembers>,
    member: MembershipId,
    role: Role,
    current_password: &Secret,
) -> Result<FormSuccess, AppError> {
    // Checking a password is slow, so it is done before the transaction, which reads the role again.
    let from = entity::Membership::find_by_id(member)
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .one(ctx.db().read())
        .await?
        .ok_or(AppError::NotFound)?
        .role;
    if is_about_ownership(from, role) {
        actor.require(Permission::OwnWorkspace)?;
    }
    if from != role && Sensitive::is_grant(Some(from), role) {
        sessions::confirm_identity(ctx, info, actor.person(), current_password).await?;
    }
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    let (name, event) = set_role(&mut tx, &actor, member, role).await?;
    tx.commit().await?;
    let done = FormSuccess::with_message(format!("{name} is now {}", role.with_article()));
    Ok(match event {
        Some(event) => done.with_undo("/fn/undo_change_role", actor.workspace(), event),
        None => done,
    })
}

async fn set_role(
    tx: &mut Tx,
    actor: &Actor,
    member: MembershipId,
    role: Role,
) -> Result<(String, Option<EventId>), AppError> {
    let (member, user) = find_member(tx, actor, member).await?;
    if !actor.role().can_administer(member.role) || !actor.role().may_grant(role) {
        return Err(AppError::Forbidden {
            permission: Permission::OwnWorkspace,
        });
    }
    if member.role == role {
        return Ok((user.name, None));
    }
    if Sensitive::is_grant(Some(member.role), role) {
        actor.person().require_fresh(Sensitive::GrantRole)?;
    }
    keep_an_owner(tx, actor, member.role).await?;
    entity::Membership::update_many()
        .col_expr(Column::Role, Expr::value(role))
        .filter(Column::Id.eq(member.id))
        .exec(tx)
        .await?;
    let data = json!({"member": member.id, "user": user.id, "name": user.name, "from": member.role, "to": role});
    let event = NewEvent::in_workspace(actor.workspace(), EventType::MemberRoleChanged, data)
        .about(user.id);
    let event = events::record(tx, actor, event).await?;
    tx.invalidate(Invalidation::user(user.id, Topic::Workspace));
    Ok((user.name, Some(event)))
}

pub async fn undo_change_role(
    ctx: &AppContext,
    actor: &Permit<can::ManageMembers>,
    event: EventId,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    let undone = activity::undoable(&tx, &actor, event, EventType::MemberRoleChanged, UNDO)
        .await?
        .data;
    let text = |key: &str| undone[key].as_str().unwrap_or_default();
    let member = text("member").parse().map_err(|_| AppError::NotFound)?;
    let (from, to): (Role, Role) = (
        text("from").parse().map_err(|_| AppError::NotFound)?,
        text("to").parse().map_err(|_| AppError::NotFound)?,
    );
    if find_member(&tx, &actor, member).await?.0.role != to {
        return Err(AppError::Conflict(
            "The role has changed since. Undo is no longer available.".to_owned(),
        ));
    }
    let (name, _) = set_role(&mut tx, &actor, member, from).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message(format!(
        "{name} is {} again",
        from.with_article()
    )))
}

//! Members and their roles.

pub mod invitations;
pub mod list;

use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::members::{MemberRow, MembersView, PAGE, Status, UNDO};
use domain::{
    AppError, Email, EventId, InvitationId, MembershipId, Permission, Role, Secret, Timestamp,
    Topic, UserId, fold,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, ExprTrait, JoinType, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set,
};
use serde_json::json;

use self::invitations::InvitationCounts;
use crate::auth::{Actor, Permit, RequestInfo, Sensitive, can, sessions};
use crate::billing::seats;
use crate::context::AppContext;
use crate::db::entity::membership::Column;
use crate::db::{Tx, entity, is_unique_violation, rows};
use crate::events::{self, NewEvent};
use crate::live::Invalidation;
use crate::{activity, csv};

/// Longest search text, in characters. No name or email address is longer.
const MAX_SEARCH_LEN: usize = 254;

/// A member with their person, as queries bring them.
type Found = (
    MembershipId,
    UserId,
    String,
    Email,
    Role,
    Timestamp,
    Option<Timestamp>,
);

/// Members in the order of their joining, from `after` on, whose name or address holds `search`.
async fn find(
    ctx: &AppContext,
    actor: &Actor,
    search: &str,
    after: Option<MembershipId>,
    limit: u64,
) -> Result<(Vec<Found>, u64), AppError> {
    use entity::{membership, user};
    let mut query = entity::Membership::find()
        .join(
            JoinType::InnerJoin,
            membership::Entity::belongs_to(user::Entity)
                .from(Column::UserId)
                .to(user::Column::Id)
                .into(),
        )
        .filter(Column::WorkspaceId.eq(actor.workspace()));
    let search = fold(search.trim());
    if search.chars().count() > MAX_SEARCH_LEN || search.chars().any(char::is_control) {
        return Ok((Vec::new(), 0));
    }
    if !search.is_empty() {
        query = query.filter(holding(actor, &search));
    }
    let all = query.clone();
    if let Some(after) = after {
        query = query.filter(Column::Id.gt(after));
    }
    let query = query
        .order_by_asc(Column::Id)
        .select_only()
        .column_as(Column::Id, "id")
        .column_as(Column::UserId, "user_id")
        .column_as(user::Column::Name, "name")
        .column_as(user::Column::Email, "email")
        .column_as(Column::Role, "role")
        .column_as(Column::JoinedAt, "joined_at")
        .column_as(Column::LastActiveAt, "last_active_at")
        .into_query();
    let rows: Vec<Found> = rows::tuples_up_to(limit, query, ctx.db().read()).await?;
    // Most workspaces fit on one page: then they are counted already.
    let count = if after.is_none() && (rows.len() as u64) < limit {
        rows.len() as u64
    } else {
        all.count(ctx.db().read()).await?
    };
    Ok((rows, count))
}

/// Members whose name holds a folded text, or whose address does, for those who may see addresses.
fn holding(actor: &Actor, folded: &str) -> Condition {
    use entity::user;
    let literal = folded
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    let like = |column: user::Column| {
        Expr::col((user::Entity, column))
            .like(sea_orm::sea_query::LikeExpr::new(format!("%{literal}%")).escape('\\'))
    };
    let matches = Condition::any().add(like(user::Column::FoldedName));
    if actor.may(Permission::SeeMemberEmails) {
        matches.add(like(user::Column::Email))
    } else {
        matches
    }
}

pub async fn view(
    ctx: &AppContext,
    actor: &Permit<can::ReadWorkspace>,
    status: Status,
    search: &str,
    after: Option<MembershipId>,
    before: Option<InvitationId>,
) -> Result<MembersView, AppError> {
    let (mut rows, member_count) = find(ctx, actor, search, after, PAGE + 1).await?;
    let more = rows.len() as u64 > PAGE;
    rows.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let may_invite = actor.may(Permission::InviteMembers);
    let tally = if may_invite {
        invitations::tally(ctx, actor).await?
    } else {
        InvitationCounts::default()
    };
    let keys = if actor.may(Permission::ManageApiKeys) {
        keys_made(ctx, actor).await?
    } else {
        Vec::new()
    };
    let next = if more {
        rows.last().map(|row| row.0)
    } else {
        None
    };
    let members = rows
        .into_iter()
        .map(|(id, user, name, email, role, joined_at, last_active_at)| {
            let is_self = user == actor.person().id();
            let may_administer = !is_self
                && actor.may(Permission::ManageMembers)
                && actor.role().can_administer(role);
            let may_grant = |role: &Role| may_administer && actor.role().may_grant(*role);
            MemberRow {
                id,
                name,
                email: (is_self || actor.may(Permission::SeeMemberEmails))
                    .then(|| email.to_string()),
                role,
                joined_at,
                last_active_at,
                is_self,
                may_grant: Role::ALL.into_iter().filter(may_grant).collect(),
                open_invitations: tally.open_of(user),
                keys_made: keys
                    .iter()
                    .filter(|(maker, _)| *maker == user)
                    .map(|(_, name)| name.clone())
                    .collect(),
            }
        })
        .collect();
    let (invitations, invitations_next) = if may_invite {
        invitations::list(ctx, actor, status, before).await?
    } else {
        (Vec::new(), None)
    };
    Ok(MembersView {
        workspace: actor.workspace(),
        may_invite,
        may_export: actor.may(Permission::SeeMemberEmails),
        sends_mail: ctx.site().sends_mail,
        status,
        counts: tally.counts,
        invitations,
        invitations_next,
        members,
        member_count,
        next,
    })
}

/// The API keys that still work, by creator: they outlive the creator's membership.
async fn keys_made(ctx: &AppContext, actor: &Actor) -> Result<Vec<(UserId, String)>, AppError> {
    use entity::api_key::Column;
    let now = Timestamp::now();
    let not_over = |end: Column| Condition::any().add(end.is_null()).add(end.gt(now));
    Ok(entity::ApiKey::find()
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .filter(Column::CreatedBy.is_not_null())
        .filter(Column::RevokedAt.is_null())
        .filter(not_over(Column::ExpiresAt))
        .filter(not_over(Column::RetiresAt))
        .order_by_asc(Column::Name)
        .select_only()
        .column(Column::CreatedBy)
        .column(Column::Name)
        .into_tuple()
        .all(ctx.db().read())
        .await?)
}

/// Every member as CSV (RFC 4180).
pub async fn export_csv(
    ctx: &AppContext,
    actor: &Permit<can::SeeMemberEmails>,
) -> Result<String, AppError> {
    actor.person().require_fresh(Sensitive::Export)?;
    let (rows, _) = find(ctx, actor, "", None, u64::from(u32::MAX)).await?;
    let mut csv = String::from("Name,Email,Role,Joined,Last active\r\n");
    for (_, _, name, email, role, joined_at, last_active_at) in rows {
        let active = last_active_at.map(Timestamp::rfc3339).unwrap_or_default();
        let fields = [
            &name,
            email.as_str(),
            role.label(),
            &joined_at.rfc3339(),
            &active,
        ]
        .map(csv::field);
        csv += &(fields.join(",") + "\r\n");
    }
    Ok(csv)
}

/// A member of this workspace and their name.
async fn find_member(
    tx: &Tx,
    actor: &Actor,
    id: MembershipId,
) -> Result<(entity::membership::Model, entity::user::Model), AppError> {
    let member = entity::Membership::find_by_id(id)
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    let user = entity::User::find_by_id(member.user_id)
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    Ok((member, user))
}

/// Refuses a change that would leave the workspace without an owner.
async fn keep_an_owner(tx: &Tx, actor: &Actor, losing: Role) -> Result<(), AppError> {
    let owners = entity::Membership::find()
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .filter(Column::Role.eq(Role::Owner))
        .count(tx)
        .await?;
    if losing.is_owner() && owners == 1 {
        return Err(AppError::Conflict(
            "A workspace needs at least one owner.".to_owned(),
        ));
    }
    Ok(())
}

/// Begins a change to the members: one at a time, and by someone who still has permission.
async fn begin(
    ctx: &AppContext,
    actor: &Permit<can::ManageMembers>,
) -> Result<(Tx, Actor), AppError> {
    let tx = ctx.db().begin().await?;
    sessions::lock_workspace(&tx, actor.workspace()).await?;
    let actor = sessions::reload_actor(&tx, actor).await?;
    actor.require(Permission::ManageMembers)?;
    Ok((tx, actor))
}

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
    let (mut tx, actor) = begin(ctx, actor).await?;
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
    let (mut tx, actor) = begin(ctx, actor).await?;
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

pub async fn remove(
    ctx: &AppContext,
    actor: &Permit<can::ManageMembers>,
    member: MembershipId,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin(ctx, actor).await?;
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
    let (mut tx, actor) = begin(ctx, actor).await?;
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

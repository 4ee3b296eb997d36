//! The data of the members page.

use domain::members::{MemberRow, MembersView, PAGE, Status};
use domain::{AppError, InvitationId, MembershipId, Permission, Role, Timestamp, UserId};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::invitations::{self, InvitationCounts};
use super::search::find;
use crate::auth::{Actor, Permit, can};
use crate::context::AppContext;
use crate::db::entity;
use crate::db::rows::page_of;

pub async fn view(
    ctx: &AppContext,
    actor: &Permit<can::ReadWorkspace>,
    status: Status,
    search: &str,
    after: Option<MembershipId>,
    before: Option<InvitationId>,
) -> Result<MembersView, AppError> {
    let (rows, member_count) = find(ctx, actor, search, after, PAGE + 1).await?;
    let (rows, more) = page_of(rows, PAGE);
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

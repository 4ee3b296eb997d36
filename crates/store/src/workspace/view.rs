//! The data of the workspace page.

use domain::workspace::{SLUG_HOLD, WorkspaceView};
use domain::{AppError, MembershipId, Permission, Role, Timestamp};
use sea_orm::{
    ColumnTrait, EntityTrait, JoinType, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::auth::{Actor, Permit, can};
use crate::context::AppContext;
use crate::db::entity;

pub async fn view(
    ctx: &AppContext,
    actor: &Permit<can::ReadWorkspace>,
) -> Result<WorkspaceView, AppError> {
    let read = ctx.db().read();
    let former = entity::SlugClaim::find()
        .filter(entity::slug_claim::Column::WorkspaceId.eq(actor.workspace()))
        .filter(entity::slug_claim::Column::ReleasedAt.gt(Timestamp::now().before(SLUG_HOLD)))
        .order_by_desc(entity::slug_claim::Column::ReleasedAt)
        .all(read)
        .await?;
    let owns = actor.may(Permission::OwnWorkspace);
    // For the owner's part of the page: who can take over, and what deleting removes.
    let (mut transfer_candidates, contacts) = if owns {
        let contacts = entity::Contact::find()
            .filter(entity::contact::Column::WorkspaceId.eq(actor.workspace()));
        (members(ctx, actor).await?, contacts.count(read).await?)
    } else {
        (Vec::new(), 0)
    };
    let members = transfer_candidates.len() as u64;
    let owners = transfer_candidates
        .iter()
        .filter(|(.., role)| role.is_owner())
        .count();
    transfer_candidates.retain(|(id, ..)| *id != actor.membership());
    Ok(WorkspaceView {
        id: actor.workspace(),
        name: actor.workspace_name().to_owned(),
        slug: actor.slug().clone(),
        role: actor.role(),
        may_edit: actor.may(Permission::EditWorkspace),
        former: former
            .into_iter()
            .filter_map(|claim| Some((claim.slug, claim.released_at?.after(SLUG_HOLD))))
            .collect(),
        last_owner: owns && owners == 1,
        transfer_candidates: transfer_candidates
            .into_iter()
            .map(|(id, name, _)| (id, name))
            .collect(),
        ask_password: !actor.person().is_fresh(),
        members,
        contacts,
    })
}

async fn members(
    ctx: &AppContext,
    actor: &Actor,
) -> Result<Vec<(MembershipId, String, Role)>, AppError> {
    use entity::{membership, user};
    Ok(entity::Membership::find()
        .join(
            JoinType::InnerJoin,
            membership::Entity::belongs_to(user::Entity)
                .from(membership::Column::UserId)
                .to(user::Column::Id)
                .into(),
        )
        .filter(membership::Column::WorkspaceId.eq(actor.workspace()))
        .order_by_asc(user::Column::Name)
        .select_only()
        .column_as(membership::Column::Id, "id")
        .column_as(user::Column::Name, "name")
        .column_as(membership::Column::Role, "role")
        .into_tuple()
        .all(ctx.db().read())
        .await?)
}

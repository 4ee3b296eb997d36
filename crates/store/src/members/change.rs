//! What every change of a member needs: finding the member, and keeping an owner.

use domain::{AppError, MembershipId, Role};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use crate::auth::Actor;
use crate::db::entity::membership::Column;
use crate::db::{Tx, entity};

/// A member of this workspace and their name.
pub(super) async fn find_member(
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
pub(super) async fn keep_an_owner(tx: &Tx, actor: &Actor, losing: Role) -> Result<(), AppError> {
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

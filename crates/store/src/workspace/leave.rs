//! Leaving a workspace.

use domain::catalog::EventType;
use domain::{AppError, Role, Topic};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::json;

use super::confirmation::confirm_by_slug;
use crate::auth::{Actor, Sensitive, sessions};
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::events::{self, NewEvent};
use crate::live::Invalidation;

/// How many owners a workspace has, counted inside the transaction that is about to remove one.
pub async fn owners(tx: &Tx, actor: &Actor) -> Result<u64, AppError> {
    use entity::membership::Column;
    Ok(entity::Membership::find()
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .filter(Column::Role.eq(Role::Owner))
        .count(tx)
        .await?)
}

pub async fn leave(ctx: &AppContext, actor: &Actor, typed_slug: &str) -> Result<(), AppError> {
    confirm_by_slug(actor, typed_slug)?;
    let mut tx = ctx.db().begin().await?;
    sessions::lock_workspace(&tx, actor.workspace()).await?;
    let actor = &sessions::reload_actor(&tx, actor).await?;
    if actor.role().is_owner() && owners(&tx, actor).await? == 1 {
        return Err(AppError::Conflict(
            "You're the only owner. Transfer ownership before leaving, or delete the workspace."
                .to_owned(),
        ));
    }
    if actor.role().is_owner() {
        actor.person().require_fresh(Sensitive::RemoveOwner)?;
    }
    entity::Membership::delete_by_id(actor.membership())
        .exec(&tx)
        .await?;
    let person = actor.person();
    let data = json!({
        "member": actor.membership(), "user": person.id(), "name": person.name(), "email": person.email(),
        "role": actor.role(), "left": true,
    });
    events::record(
        &mut tx,
        actor,
        NewEvent::in_workspace(actor.workspace(), EventType::MemberRemoved, data),
    )
    .await?;
    tx.invalidate(Invalidation::user(person.id(), Topic::Workspace));
    tx.commit().await?;
    Ok(())
}

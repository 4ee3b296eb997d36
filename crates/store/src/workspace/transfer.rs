//! Transfer of ownership.

use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::{AppError, MembershipId, Permission, Role, Secret, Topic};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use super::confirmation::confirm_by_slug;
use crate::auth::{Permit, RequestInfo, can, sessions};
use crate::context::AppContext;
use crate::db::entity;
use crate::events::{self, NewEvent};
use crate::live::Invalidation;

/// Makes another member the owner and this one an admin, in one step.
pub async fn transfer(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::OwnWorkspace>,
    heir: MembershipId,
    typed_slug: &str,
    current_password: &Secret,
) -> Result<FormSuccess, AppError> {
    use entity::membership::Column;
    confirm_by_slug(actor, typed_slug)?;
    sessions::confirm_identity(ctx, info, actor.person(), current_password).await?;
    let mut tx = ctx.db().begin().await?;
    sessions::lock_workspace(&tx, actor.workspace()).await?;
    let actor = &sessions::reload_actor(&tx, actor).await?;
    actor.require(Permission::OwnWorkspace)?;
    let member = entity::Membership::find_by_id(heir)
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .filter(Column::Id.ne(actor.membership()))
        .one(&tx)
        .await?
        .ok_or_else(|| AppError::field("member", "Choose a member"))?;
    let user = entity::User::find_by_id(member.user_id)
        .one(&tx)
        .await?
        .ok_or(AppError::NotFound)?;
    let steps = [
        (
            member.id,
            user.id,
            user.name.as_str(),
            member.role,
            Role::Owner,
        ),
        (
            actor.membership(),
            actor.person().id(),
            actor.person().name(),
            Role::Owner,
            Role::Admin,
        ),
    ];
    for (id, user_id, name, from, to) in steps {
        entity::Membership::update_many()
            .col_expr(Column::Role, Expr::value(to))
            .filter(Column::Id.eq(id))
            .exec(&tx)
            .await?;
        let data = json!({"member": id, "user": user_id, "name": name, "from": from, "to": to});
        let event = NewEvent::in_workspace(actor.workspace(), EventType::MemberRoleChanged, data)
            .about(user_id);
        events::record(&mut tx, actor, event).await?;
    }
    tx.invalidate(Invalidation::workspace(actor.workspace(), Topic::Workspace));
    tx.commit().await?;
    Ok(FormSuccess::with_message(format!(
        "Ownership transferred to {}. You're now an admin.",
        user.name
    )))
}

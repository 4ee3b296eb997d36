//! Deletes workspaces.

use domain::catalog::EventType;
use domain::{AppError, Permission, Secret, Timestamp, Topic};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect};
use serde_json::json;

use super::confirmation::confirm_by_slug;
use crate::auth::key_changes::KeyChange;
use crate::auth::{Permit, RequestInfo, can, sessions};
use crate::context::AppContext;
use crate::db::entity;
use crate::email::{self, Recipient, templates};
use crate::events::{self, NewEvent, Origin};
use crate::live::Invalidation;

/// Deletes a workspace with everything in it. Its members get an email, because their inbox there is deleted too.
pub async fn delete(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::OwnWorkspace>,
    typed_slug: &str,
    current_password: &Secret,
) -> Result<(), AppError> {
    use entity::{membership, slug_claim, user};
    confirm_by_slug(actor, typed_slug)?;
    sessions::confirm_identity(ctx, info, actor.person(), current_password).await?;
    let mut tx = ctx.db().begin().await?;
    sessions::lock_workspace(&tx, actor.workspace()).await?;
    sessions::reload_actor(&tx, actor)
        .await?
        .require(Permission::OwnWorkspace)?;
    let people = entity::User::find()
        .join(
            JoinType::InnerJoin,
            user::Entity::belongs_to(membership::Entity)
                .from(user::Column::Id)
                .to(membership::Column::UserId)
                .into(),
        )
        .filter(membership::Column::WorkspaceId.eq(actor.workspace()))
        .all(&tx)
        .await?;
    for person in people {
        tx.invalidate(Invalidation::user(person.id, Topic::Workspace));
        let confirmed = ctx.site().counts_as_confirmed(person.email_confirmed_at);
        if confirmed && person.id != actor.person().id() {
            let message =
                templates::workspace_deleted(actor.workspace_name(), actor.person().name());
            email::enqueue(
                &mut tx,
                ctx,
                Recipient {
                    email: person.email,
                    user: Some(person.id),
                },
                message,
                None,
            )
            .await?;
        }
    }
    entity::SlugClaim::update_many()
        .col_expr(
            slug_claim::Column::ReleasedAt,
            Expr::value(Timestamp::now()),
        )
        .filter(slug_claim::Column::WorkspaceId.eq(actor.workspace()))
        .filter(slug_claim::Column::ReleasedAt.is_null())
        .exec(&tx)
        .await?;
    entity::Workspace::delete_by_id(actor.workspace())
        .exec(&tx)
        .await?;
    // The workspace's own log is gone with it; that it was deleted stands in its owner's.
    let data = json!({"workspace": actor.workspace(), "name": actor.workspace_name(), "slug": actor.slug()});
    let event = NewEvent::about_person(actor.person().id(), EventType::WorkspaceDeleted, data);
    events::record(&mut tx, Origin::from(actor), event).await?;
    tx.commit().await?;
    ctx.key_changes()
        .send(KeyChange::Workspace(actor.workspace()));
    Ok(())
}

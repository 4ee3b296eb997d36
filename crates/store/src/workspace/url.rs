//! Changes of the URL.

use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::{AppError, EventId, Slug, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use super::undo::{UNDO, from_to};
use crate::activity;
use crate::auth::{Actor, Permit, can, sessions};
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::events::{self, NewEvent};

pub async fn move_to(
    ctx: &AppContext,
    actor: &Permit<can::EditWorkspace>,
    slug: Slug,
) -> Result<FormSuccess, AppError> {
    if slug == *actor.slug() {
        return Ok(FormSuccess::with_message("That's already your URL"));
    }
    let former = format!("/w/{}", actor.slug());
    let mut tx = ctx.db().begin().await?;
    let event = set_slug(&mut tx, actor, &slug).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message(format!(
        "URL updated. {former} will redirect here for 90 days."
    ))
    .with_undo("/fn/undo_workspace_url", actor.workspace(), event))
}

async fn set_slug(tx: &mut Tx, actor: &Actor, to: &Slug) -> Result<EventId, AppError> {
    use entity::{slug_claim, workspace};
    sessions::lock_workspace(tx, actor.workspace()).await?;
    let from = sessions::reload_actor(tx, actor).await?.slug().clone();
    entity::SlugClaim::update_many()
        .col_expr(
            slug_claim::Column::ReleasedAt,
            Expr::value(Timestamp::now()),
        )
        .filter(slug_claim::Column::Slug.eq(from.clone()))
        .filter(slug_claim::Column::WorkspaceId.eq(actor.workspace()))
        .exec(tx)
        .await?;
    sessions::claim_slug(tx, actor.workspace(), to).await?;
    entity::Workspace::update_many()
        .col_expr(workspace::Column::Slug, Expr::value(to.clone()))
        .col_expr(workspace::Column::UpdatedAt, Expr::value(Timestamp::now()))
        .filter(workspace::Column::Id.eq(actor.workspace()))
        .exec(tx)
        .await?;
    let data = json!({"from": from, "to": to});
    events::record(
        tx,
        actor,
        NewEvent::in_workspace(actor.workspace(), EventType::WorkspaceUrlChanged, data),
    )
    .await
}

pub async fn undo_move(
    ctx: &AppContext,
    actor: &Permit<can::EditWorkspace>,
    event: EventId,
) -> Result<Slug, AppError> {
    let mut tx = ctx.db().begin().await?;
    let undone =
        activity::undoable(&tx, actor, event, EventType::WorkspaceUrlChanged, UNDO).await?;
    let (from, to) = from_to(&undone.data);
    if actor.slug().as_str() != to {
        return Err(AppError::Conflict(
            "The URL has changed since. Undo is no longer available.".to_owned(),
        ));
    }
    let from = Slug::parse(from).map_err(|_| AppError::NotFound)?;
    set_slug(&mut tx, actor, &from).await?;
    tx.commit().await?;
    Ok(from)
}

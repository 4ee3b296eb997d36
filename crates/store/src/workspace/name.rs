//! Changes of the name.

use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::{AppError, EventId, Name, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use super::undo::{UNDO, from_to};
use crate::activity;
use crate::auth::{Actor, Permit, can};
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::events::{self, NewEvent};

pub async fn rename(
    ctx: &AppContext,
    actor: &Permit<can::EditWorkspace>,
    name: Name,
) -> Result<FormSuccess, AppError> {
    if name.as_str() == actor.workspace_name() {
        return Ok(FormSuccess::with_message("Changes saved"));
    }
    let mut tx = ctx.db().begin().await?;
    let event = set_name(&mut tx, actor, actor.workspace_name(), name.as_str()).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message("Changes saved").with_undo(
        "/fn/undo_workspace_rename",
        actor.workspace(),
        event,
    ))
}

async fn set_name(tx: &mut Tx, actor: &Actor, from: &str, to: &str) -> Result<EventId, AppError> {
    use entity::workspace::Column;
    entity::Workspace::update_many()
        .col_expr(Column::Name, Expr::value(to))
        .col_expr(Column::UpdatedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(actor.workspace()))
        .exec(tx)
        .await?;
    let data = json!({"from": from, "to": to});
    events::record(
        tx,
        actor,
        NewEvent::in_workspace(actor.workspace(), EventType::WorkspaceRenamed, data),
    )
    .await
}

pub async fn undo_rename(
    ctx: &AppContext,
    actor: &Permit<can::EditWorkspace>,
    event: EventId,
) -> Result<FormSuccess, AppError> {
    let mut tx = ctx.db().begin().await?;
    let undone = activity::undoable(&tx, actor, event, EventType::WorkspaceRenamed, UNDO).await?;
    let (from, to) = from_to(&undone.data);
    if actor.workspace_name() != to {
        return Err(AppError::Conflict(
            "The name has changed since. Undo is no longer available.".to_owned(),
        ));
    }
    set_name(&mut tx, actor, to, from).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message(format!(
        "Name changed back to {from}"
    )))
}

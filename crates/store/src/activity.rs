//! What happened in a workspace, as far as a member can see it or undo it.

use std::time::Duration;

use domain::catalog::{EventType, Mode};
use domain::{AppError, EventId, Timestamp, UserId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QueryTrait};
use serde_json::Value;

use crate::auth::Actor;
use crate::context::AppContext;
use crate::db::{Tx, entity, rows};

/// An event that someone wants to undo.
#[derive(Clone, Debug)]
pub struct Undoable {
    pub data: Value,
    pub about: Option<UserId>,
}

/// Finds an event that this person caused in this workspace less than `within` ago. Events of other people, other
/// workspaces or other kinds, and expired ones, are not found.
pub async fn undoable(
    tx: &Tx,
    actor: &Actor,
    id: EventId,
    event_type: EventType,
    within: Duration,
) -> Result<Undoable, AppError> {
    let event = entity::Event::find_by_id(id)
        .filter(entity::event::Column::WorkspaceId.eq(actor.workspace()))
        .filter(entity::event::Column::EventType.eq(event_type))
        .filter(entity::event::Column::ActorId.eq(actor.person().id().uuid()))
        .filter(entity::event::Column::CreatedAt.gte(Timestamp::now().before(within)))
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    Ok(Undoable {
        data: event.data,
        about: event.subject_user_id,
    })
}

/// The latest events of a workspace that this person can see, newest first.
pub async fn latest(
    ctx: &AppContext,
    actor: &Actor,
    limit: u64,
) -> Result<Vec<entity::event::Model>, AppError> {
    let visible: Vec<EventType> = EventType::ALL
        .into_iter()
        .filter(|event| actor.role().may(event.required_permission()))
        .collect();
    let query = entity::Event::find()
        .filter(entity::event::Column::WorkspaceId.eq(actor.workspace()))
        .filter(entity::event::Column::EventType.is_in(visible))
        .filter(entity::event::Column::Mode.eq(Mode::Live))
        .order_by_desc(entity::event::Column::Id)
        .into_query();
    Ok(rows::up_to(limit, query, ctx.db().read()).await?)
}

//! What every change of a key needs: finding the key, whether it works, and its event.

use domain::catalog::EventType;
use domain::{ApiKeyId, AppError, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use crate::auth::{Actor, RequestInfo};
use crate::db::entity::api_key::{Column, Model};
use crate::db::{Tx, entity};
use crate::events::{self, NewEvent};

/// A key of this workspace.
pub(super) async fn find(tx: &Tx, actor: &Actor, id: ApiKeyId) -> Result<Model, AppError> {
    entity::ApiKey::find_by_id(id)
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)
}

/// Refuses to change a key that no longer works.
pub(super) fn must_work(key: &Model, now: Timestamp) -> Result<(), AppError> {
    let over = |end: Option<Timestamp>| end.is_some_and(|end| end <= now);
    let why = if key.revoked_at.is_some() {
        "This key was revoked."
    } else if over(key.retires_at) {
        "This key was replaced."
    } else if over(key.expires_at) {
        "This key has expired. Create a new one."
    } else {
        return Ok(());
    };
    Err(AppError::Conflict(why.to_owned()))
}

/// Records a change of a key, with its actor and origin, but never the key itself.
pub(super) async fn record(
    tx: &mut Tx,
    info: &RequestInfo,
    actor: &Actor,
    event_type: EventType,
    key: (ApiKeyId, &str),
    mut more: Value,
) -> Result<(), AppError> {
    more["key"] = json!(key.0);
    more["name"] = json!(key.1);
    more["address"] = json!(info.address.to_canonical());
    let event = NewEvent::in_workspace(actor.workspace(), event_type, more);
    events::record(tx, actor, event).await?;
    Ok(())
}

pub(super) fn change(id: ApiKeyId) -> sea_orm::UpdateMany<entity::ApiKey> {
    entity::ApiKey::update_many()
        .col_expr(Column::UpdatedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(id))
}

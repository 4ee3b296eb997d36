//! Keys created at the command line, for the product's own services and for tests.

use domain::catalog::{EventType, Mode, Scope};
use domain::{ApiKeyId, AppError, Name, Slug, Timestamp};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, Set};
use serde_json::json;

use crate::auth::key_token::KeyToken;
use crate::context::AppContext;
use crate::db::entity;
use crate::events::{self, NewEvent, Origin};

/// The creator of a key that no person created.
const OPERATOR: &str = "Operator";

/// Creates a key for a workspace and returns it; it is stored nowhere.
pub async fn create(
    ctx: &AppContext,
    workspace: &Slug,
    name: &Name,
    mode: Mode,
    scopes: &[Scope],
) -> Result<KeyToken, AppError> {
    let mut tx = ctx.db().begin().await?;
    let workspace = entity::Workspace::find()
        .filter(entity::workspace::Column::Slug.eq(workspace.clone()))
        .one(&tx)
        .await?
        .ok_or(AppError::NotFound)?
        .id;
    let token = KeyToken::generate(mode);
    let (start, end) = token.shown();
    let (id, now) = (ApiKeyId::new(), Timestamp::now());
    entity::api_key::ActiveModel {
        id: Set(id),
        workspace_id: Set(workspace),
        mode: Set(mode),
        name: Set(name.to_string()),
        token_hash: Set(token.hash().to_vec()),
        token_start: Set(start.to_owned()),
        token_end: Set(end.to_owned()),
        scopes: Set(json!(scopes)),
        allowed_networks: Set(json!([])),
        created_by: Set(None),
        created_by_name: Set(OPERATOR.to_owned()),
        created_at: Set(now),
        updated_at: Set(now),
        expires_at: Set(None),
        last_used_at: Set(None),
        last_used_address: Set(None),
        replaced_by: Set(None),
        retires_at: Set(None),
        revoked_at: Set(None),
        revoked_by_name: Set(None),
    }
    .insert(&tx)
    .await?;
    let data = json!({"key": id, "name": name, "mode": mode, "scopes": scopes});
    let event = NewEvent::in_workspace(workspace, EventType::ApiKeyCreated, data);
    events::record(&mut tx, Origin::system(), event).await?;
    tx.commit().await?;
    Ok(token)
}

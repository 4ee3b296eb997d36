//! `/me`: the key of the request and its workspace.

use axum::Json;
use domain::catalog::{Mode, Scope};
use domain::{ApiKeyId, Slug, WorkspaceId};
use serde::Serialize;
use store::auth::ApiKeyInfo;
use utoipa::ToSchema;

use super::scopes::ApiKeyAuth;

/// The key of the request.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    #[schema(value_type = String, example = "key_01h455vb4pex5vsknk084sn02q")]
    key_id: ApiKeyId,
    name: String,
    #[serde(rename = "type")]
    mode: Mode,
    scopes: Vec<Scope>,
    /// ID of the workspace that the key belongs to.
    #[schema(value_type = String, example = "ws_01h455vb4pex5vsknk084sn02q")]
    workspace: WorkspaceId,
    workspace_name: String,
    /// Slug in the workspace URL: `/w/{slug}`.
    #[schema(value_type = String, example = "acme")]
    workspace_slug: Slug,
}

impl From<&ApiKeyInfo> for Me {
    fn from(facts: &ApiKeyInfo) -> Self {
        Self {
            key_id: facts.id,
            name: facts.name.clone(),
            mode: facts.mode,
            scopes: facts.scopes.clone(),
            workspace: facts.workspace,
            workspace_name: facts.workspace_name.clone(),
            workspace_slug: facts.workspace_slug.clone(),
        }
    }
}

/// Get the current key
///
/// Returns the key of the request. Any valid key can call this.
#[utoipa::path(
    get, path = "/me", operation_id = "getMe", tag = "Keys", security(("key" = [])),
    responses((status = 200, description = "The key and its workspace.", body = Me))
)]
pub async fn show(ApiKeyAuth { key, .. }: ApiKeyAuth) -> Json<Me> {
    Json(key.facts().into())
}

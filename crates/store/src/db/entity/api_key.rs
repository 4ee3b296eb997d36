//! An API key: its hash, never the key.

use domain::catalog::Mode;
use domain::{ApiKeyId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ApiKeyId,
    pub workspace_id: WorkspaceId,
    pub mode: Mode,
    pub name: String,
    pub token_hash: Vec<u8>,
    pub token_start: String,
    pub token_end: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub scopes: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub allowed_networks: Json,
    pub created_by: Option<UserId>,
    pub created_by_name: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub last_used_address: Option<String>,
    pub replaced_by: Option<ApiKeyId>,
    pub retires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub revoked_by_name: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

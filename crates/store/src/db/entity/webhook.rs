//! A webhook: its URL, its event types and its health.

use domain::catalog::Mode;
use domain::webhooks::Status;
use domain::{Timestamp, WebhookId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhooks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WebhookId,
    pub workspace_id: WorkspaceId,
    pub url: String,
    pub description: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub event_types: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub filters: Json,
    pub headers: Option<Vec<u8>>,
    pub secret: Vec<u8>,
    pub previous_secret: Option<Vec<u8>>,
    pub previous_secret_until: Option<Timestamp>,
    pub mode: Mode,
    pub include_test_events: bool,
    pub status: Status,
    pub status_reason: Option<String>,
    pub status_by: Option<String>,
    pub status_at: Option<Timestamp>,
    pub failures: i32,
    pub failing_since: Option<Timestamp>,
    pub circuit_open_until: Option<Timestamp>,
    pub last_success_at: Option<Timestamp>,
    pub created_by_name: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

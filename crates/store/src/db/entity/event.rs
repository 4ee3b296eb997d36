//! One entry in the event log: something changed.

use domain::catalog::{Category, EventType, Mode};
use domain::{EventId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EventId,
    pub workspace_id: Option<WorkspaceId>,
    #[sea_orm(column_name = "type")]
    pub event_type: EventType,
    pub category: Category,
    pub mode: Mode,
    pub actor_kind: String,
    pub actor_id: Option<Uuid>,
    pub actor_name: String,
    /// The person whom the event is about. A Security event notifies this person.
    pub subject_user_id: Option<UserId>,
    #[sea_orm(column_type = "JsonBinary")]
    pub data: Json,
    pub created_at: Timestamp,
    pub dispatched_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! The delivery of one event to one webhook.

use domain::catalog::EventType;
use domain::webhooks::DeliveryStatus;
use domain::{DeliveryId, EventId, Timestamp, WebhookId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: DeliveryId,
    pub webhook_id: WebhookId,
    pub event_id: EventId,
    pub event_type: EventType,
    pub payload: Option<String>,
    pub status: DeliveryStatus,
    pub attempts: i32,
    pub scheduled_from: i32,
    pub next_attempt_at: Option<Timestamp>,
    pub lease_token: Option<Uuid>,
    pub lease_until: Option<Timestamp>,
    pub last_status_code: Option<i32>,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! One delivery attempt: its request and response.

use domain::{AttemptId, DeliveryId, Timestamp};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery_attempts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AttemptId,
    pub delivery_id: DeliveryId,
    pub number: i32,
    pub at: Timestamp,
    pub status_code: Option<i32>,
    pub error: Option<String>,
    pub duration_ms: i64,
    #[sea_orm(column_type = "JsonBinary")]
    pub request_headers: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub response_headers: Option<Json>,
    pub response_body: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

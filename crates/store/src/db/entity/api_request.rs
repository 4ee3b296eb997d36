//! One entry in a key's request log.

use domain::{ApiKeyId, ApiRequestId, Timestamp};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_requests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ApiRequestId,
    pub key_id: ApiKeyId,
    pub at: Timestamp,
    pub method: String,
    /// The route's pattern with its parameters filled in, without the query.
    pub path: String,
    pub status: i32,
    pub duration_us: i64,
    pub address: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

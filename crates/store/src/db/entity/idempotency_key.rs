//! The response to a repeatable request, stored for a day.

use domain::{ApiKeyId, Timestamp};
use sea_orm::entity::prelude::*;

/// The purpose for encrypting the response's body.
pub const PURPOSE: &str = "idempotent answer";

/// The encryption context: whose response it is.
pub fn context(key: ApiKeyId, name: &str) -> String {
    format!("{key}/{name}")
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_id: ApiKeyId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub idempotency_key: String,
    pub fingerprint: Vec<u8>,
    pub status: Option<i32>,
    pub body: Option<Vec<u8>>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! A requested payment and its outcome.

use domain::payments::PaymentStatus;
use domain::{Money, PaymentId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PaymentId,
    pub workspace_id: WorkspaceId,
    #[sea_orm(column_type = "JsonBinary")]
    pub purpose: Json,
    pub amount: Money,
    pub status: PaymentStatus,
    pub checkout_id: Option<String>,
    pub buyer_id: UserId,
    pub buyer_name: String,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub look_at: Option<Timestamp>,
    pub refunded: Money,
    pub disputed: Money,
    pub intent_id: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

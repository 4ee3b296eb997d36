//! Returned money of a payment: a refund, a dispute, or the reported total of all refunds.

use domain::payments::{ReversalKind, ReversalStatus};
use domain::{Money, PaymentId, Timestamp};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_reversals")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub payment_id: PaymentId,
    pub kind: ReversalKind,
    pub status: ReversalStatus,
    pub amount: Money,
    pub begun_at: Timestamp,
    pub reported_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! An issued invoice.

use domain::{Money, PaymentId, Timestamp, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invoices")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    #[sea_orm(unique)]
    pub payment_id: PaymentId,
    pub what: String,
    pub amount: Money,
    #[sea_orm(column_type = "JsonBinary")]
    pub seller: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub buyer: Json,
    pub issued_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

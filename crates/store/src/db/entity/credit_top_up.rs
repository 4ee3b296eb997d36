//! The automatic top-up of a workspace.

use domain::{Money, PaymentId, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credit_top_ups")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    pub credits: i64,
    pub monthly_limit: Money,
    pub payer_id: UserId,
    pub payer_name: String,
    pub month: i64,
    pub charged: Money,
    pub top_up_requested_below: Option<i64>,
    pub paused: bool,
    pub payment_id: Option<PaymentId>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

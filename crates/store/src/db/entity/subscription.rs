//! A workspace's subscription: its rights, their end, and the next action.

use domain::subscriptions::SubscriptionStatus;
use domain::{Money, PaymentId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscriptions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    pub status: SubscriptionStatus,
    pub plan: Option<String>,
    pub cdr_mode: bool,
    pub billing_cycle_anchor: Timestamp,
    pub months: i64,
    pub begins_at: Timestamp,
    pub ends_at: Timestamp,
    pub next_plan: Option<String>,
    pub next_cdr_mode: Option<bool>,
    pub cancelled: bool,
    pub freezes_at: Option<Timestamp>,
    pub payer_id: Option<UserId>,
    pub payer_name: Option<String>,
    pub payment_id: Option<PaymentId>,
    pub declines: i64,
    pub reminders: i64,
    pub due_at: Option<Timestamp>,
    pub balance: Money,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

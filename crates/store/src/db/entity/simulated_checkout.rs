//! A payment page of the simulated provider.

use domain::payments::CheckoutStatus;
use domain::{Money, Timestamp};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "simulated_checkouts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub reference: String,
    pub amount: Money,
    pub description: String,
    pub return_path: String,
    pub status: CheckoutStatus,
    pub created_at: Timestamp,
    pub due_at: Option<Timestamp>,
    pub customer: Option<String>,
    pub refunded: Money,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

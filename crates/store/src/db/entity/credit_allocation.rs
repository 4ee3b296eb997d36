//! The amount of a ledger entry that belongs to a grant.

use domain::{CreditEntryId, CreditGrantId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credit_allocations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub entry_id: CreditEntryId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub grant_id: CreditGrantId,
    pub amount: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! An entry in the credit ledger: added once, never changed.

use domain::catalog::Mode;
use domain::credits::EntryKind;
use domain::{CreditEntryId, CreditHoldId, Timestamp, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credit_entries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CreditEntryId,
    pub workspace_id: WorkspaceId,
    pub mode: Mode,
    pub number: i64,
    pub kind: EntryKind,
    pub feature: Option<String>,
    pub quantity: Option<i64>,
    pub amount: i64,
    pub balance: i64,
    pub reference: Option<String>,
    pub idempotency_key: Option<String>,
    pub hold_id: Option<CreditHoldId>,
    pub refunds: Option<CreditEntryId>,
    pub actor_kind: String,
    pub actor_id: Option<Uuid>,
    pub actor_name: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

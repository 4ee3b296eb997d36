//! Credits reserved for work in progress.

use domain::catalog::Mode;
use domain::credits::HoldStatus;
use domain::{CreditHoldId, Timestamp, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credit_holds")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CreditHoldId,
    pub workspace_id: WorkspaceId,
    pub mode: Mode,
    pub feature: String,
    pub quantity: i64,
    pub reserved: i64,
    pub captured: i64,
    pub reference: Option<String>,
    pub status: HoldStatus,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

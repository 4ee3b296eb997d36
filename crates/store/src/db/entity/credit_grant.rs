//! Granted credits and how many remain.

use domain::catalog::Mode;
use domain::credits::GrantKind;
use domain::{CreditGrantId, Timestamp, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credit_grants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CreditGrantId,
    pub workspace_id: WorkspaceId,
    pub mode: Mode,
    pub kind: GrantKind,
    pub amount: i64,
    pub remaining: i64,
    pub expires_at: Option<Timestamp>,
    pub granted_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! A change of email address: pending, confirmed, or reverted from the old address.

use domain::{Email, EmailChangeId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "email_changes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EmailChangeId,
    pub user_id: UserId,
    pub old_email: Email,
    pub new_email: Email,
    #[sea_orm(unique)]
    pub confirm_hash: Vec<u8>,
    #[sea_orm(unique)]
    pub revert_hash: Vec<u8>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub confirmed_at: Option<Timestamp>,
    /// Canceled by the person, replaced by a later change, or reverted from the old address.
    pub ended_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

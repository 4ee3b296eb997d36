//! The outbox: emails written in the transaction of their change and sent afterwards.

use domain::catalog::Category;
use domain::{Email, EmailId, EventId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox_emails")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EmailId,
    pub user_id: Option<UserId>,
    pub event_id: Option<EventId>,
    /// Set for notifications. Empty for emails that a person must get regardless of preferences.
    pub category: Option<Category>,
    pub recipient: Email,
    pub subject: String,
    /// This and the next two are encrypted, and emptied once the email is sent or has failed for good.
    pub body_text: Vec<u8>,
    pub body_html: Vec<u8>,
    pub unsubscribe_url: Option<Vec<u8>>,
    pub created_at: Timestamp,
    pub attempts: i32,
    pub next_attempt_at: Option<Timestamp>,
    pub lease_token: Option<Uuid>,
    pub lease_until: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
    pub last_error: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

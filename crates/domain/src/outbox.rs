//! The demo's page of unsent email.

use serde::{Deserialize, Serialize};

use crate::{EmailId, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    pub messages: Vec<OutboxEmailView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEmailView {
    pub id: EmailId,
    pub to: String,
    pub subject: String,
    pub text: String,
    /// What an email program makes its Unsubscribe button of.
    pub unsubscribe: Option<String>,
    pub at: Timestamp,
}

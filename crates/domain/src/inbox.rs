use serde::{Deserialize, Serialize};

use crate::catalog::{Category, EventType};
use crate::{NotificationId, Timestamp};

/// How many notifications a page holds.
pub const PAGE: u64 = 25;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InboxItem {
    pub id: NotificationId,
    pub event_type: EventType,
    pub category: Category,
    pub sentence: String,
    pub at: Timestamp,
    pub read: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxPage {
    pub workspace: crate::WorkspaceId,
    pub items: Vec<InboxItem>,
    /// The `before` value of the next page's URL.
    pub next: Option<NotificationId>,
    pub unread: u64,
}

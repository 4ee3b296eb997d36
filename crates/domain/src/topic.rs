use serde::{Deserialize, Serialize};

/// A topic that an open page may have to reload. The text is its form on `/live`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// A person's own name, email address and sessions.
    Account,
    /// A person's notification preferences.
    Preferences,
    /// A person's inbox.
    Inbox,
    /// A workspace's name and slug, and which workspaces a person is in.
    Workspace,
    /// A workspace's members and invitations.
    Members,
    /// A workspace's contacts.
    Contacts,
    /// A workspace's API keys.
    ApiKeys,
    /// A workspace's webhooks.
    Webhooks,
    /// The status of deliveries.
    Deliveries,
    /// A workspace's subscription and payments.
    Billing,
    /// A workspace's credits.
    Credits,
}

impl Topic {
    pub const ALL: [Self; 11] = [
        Self::Account,
        Self::Preferences,
        Self::Inbox,
        Self::Workspace,
        Self::Members,
        Self::Contacts,
        Self::ApiKeys,
        Self::Webhooks,
        Self::Deliveries,
        Self::Billing,
        Self::Credits,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Preferences => "preferences",
            Self::Inbox => "inbox",
            Self::Workspace => "workspace",
            Self::Members => "members",
            Self::Contacts => "contacts",
            Self::ApiKeys => "api_keys",
            Self::Webhooks => "webhooks",
            Self::Deliveries => "deliveries",
            Self::Billing => "billing",
            Self::Credits => "credits",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.as_str() == text)
    }
}

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::{EventType, Mode, string_enum};
use crate::domain::{DeliveryId, Secret, Timestamp, WebhookId, WorkspaceId, hours};

/// How long both secrets sign after a rotation.
pub const SECRET_OVERLAP: Duration = hours(24);
/// How many webhooks a workspace has at most in each world.
pub const MAX_WEBHOOKS: u64 = 100;
pub const MAX_DESCRIPTION_LEN: usize = 300;
/// How many headers of their own a webhook sends at most.
pub const MAX_HEADERS: usize = 10;
/// How many deliveries a page shows.
pub const PAGE: u64 = 25;
/// How many of the last events a dry run looks at.
pub const DRY_RUN: u64 = 50;
/// How many rows for filters and for headers a form offers.
pub const FILTER_ROWS: usize = 3;
pub const HEADER_ROWS: usize = 2;

string_enum! {
    /// Whether a webhook gets events.
    Status {
        Enabled = "enabled",
        /// By a person, until a person goes on.
        Paused = "paused",
        /// By the server, after it failed for too long.
        Disabled = "disabled",
    }
}

impl Status {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Paused => "Paused",
            Self::Disabled => "Disabled",
        }
    }

    pub const fn tone(self) -> &'static str {
        match self {
            Self::Enabled => "success",
            Self::Paused => "neutral",
            Self::Disabled => "danger",
        }
    }
}

string_enum! {
    /// What became of a delivery.
    DeliveryStatus {
        Pending = "pending",
        Delivered = "delivered",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

impl DeliveryStatus {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Delivered => "Delivered",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    pub const fn tone(self) -> &'static str {
        match self {
            Self::Pending => "accent",
            Self::Delivered => "success",
            Self::Failed => "danger",
            Self::Cancelled => "neutral",
        }
    }
}

string_enum! {
    /// How a filter compares.
    Operator {
        Equals = "equals",
        NotEquals = "not_equals",
        Contains = "contains",
        NotContains = "not_contains",
        StartsWith = "starts_with",
        GreaterThan = "greater_than",
        LessThan = "less_than",
        In = "in",
        Exists = "exists",
    }
}

/// A header of the workspace's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub name: String,
    pub value: Secret,
}

/// Creating a webhook, and changing one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookForm {
    pub workspace: String,
    /// Which; nothing for a new one.
    pub webhook: String,
    pub url: String,
    pub description: String,
    /// None is every type, also those to come.
    pub event_types: Vec<String>,
    pub include_test_events: String,
    pub filters: Vec<FilterForm>,
    pub headers: Vec<HeaderForm>,
    /// Said by the button that only tries the filters.
    pub dry_run: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FilterForm {
    pub path: String,
    pub operator: String,
    pub value: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderForm {
    pub name: String,
    /// Nothing keeps the value that is stored under this name.
    pub value: Secret,
}

/// A change that wants a fresh sign-in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretForm {
    pub workspace: String,
    pub webhook: String,
    pub delivery: String,
    pub current_password: Secret,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeleteWebhookForm {
    pub workspace: String,
    pub webhook: String,
    /// The host of its URL, typed.
    pub host: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhooksView {
    pub workspace: WorkspaceId,
    pub webhooks: Vec<WebhookRow>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WebhookRow {
    pub id: WebhookId,
    pub url: String,
    pub description: String,
    /// `All events`, or the first type and how many more.
    pub types: String,
    pub mode: Mode,
    pub status: Status,
    /// Attempts of the last 24 hours.
    pub succeeded: u64,
    pub failed: u64,
    pub last_success_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookView {
    pub workspace: WorkspaceId,
    pub id: WebhookId,
    pub url: String,
    pub host: String,
    pub description: String,
    pub event_types: Vec<EventType>,
    pub filters: Vec<FilterForm>,
    pub header_names: Vec<String>,
    pub mode: Mode,
    pub include_test_events: bool,
    pub status: Status,
    pub status_reason: Option<String>,
    pub status_by: Option<String>,
    pub status_at: Option<Timestamp>,
    /// Attempts failed in a row, and until when nothing is tried.
    pub failures: u32,
    pub circuit_open_until: Option<Timestamp>,
    /// Until when the secret before the present one signs too.
    pub overlap_until: Option<Timestamp>,
    pub created_at: Timestamp,
    pub created_by: String,
    pub ask_password: bool,
    pub day: Chart,
    pub week: Chart,
    pub deliveries: Vec<DeliveryRow>,
    pub next: Option<DeliveryId>,
    pub opened: Option<DeliveryView>,
}

/// What became of the attempts of some time, in equal steps, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chart {
    pub bars: Vec<Bar>,
    pub succeeded: u64,
    pub failed: u64,
    /// Milliseconds.
    pub average: u64,
    pub slowest: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    pub at: i64,
    pub succeeded: u64,
    pub failed: u64,
    pub average: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeliveryRow {
    pub id: DeliveryId,
    pub event_type: EventType,
    pub test: bool,
    pub status: DeliveryStatus,
    pub attempts: u32,
    /// What the last attempt came to: `200`, `timeout`.
    pub last: String,
    pub created_at: Timestamp,
    pub next_attempt_at: Option<Timestamp>,
}

/// A delivery, opened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeliveryView {
    pub id: DeliveryId,
    pub event: String,
    pub event_type: EventType,
    pub test: bool,
    pub status: DeliveryStatus,
    pub next_attempt_at: Option<Timestamp>,
    /// What is sent, indented.
    pub body: String,
    pub attempts: Vec<AttemptView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AttemptView {
    pub number: u32,
    pub at: Timestamp,
    pub good: bool,
    pub outcome: String,
    pub duration_ms: u64,
    /// `name: value`, a line each; nothing once they were cleared away.
    pub request_headers: Option<String>,
    pub response_headers: Option<String>,
    pub response_body: Option<String>,
}

/// How a failure of ours to reach a receiver reads; a status reads as itself.
pub fn explain(error: &str) -> &str {
    match error {
        "dns_failed" => "The name of the host could not be resolved",
        "address_refused" => "The host is at a private or reserved address",
        "connect_failed" => "The host did not take the connection",
        "tls_failed" => "The certificate or the encryption was not good",
        "timeout" => "No answer in 15 seconds",
        "too_slow" => "The answer was not complete in 15 seconds",
        "connection_lost" => "The connection broke off before the answer",
        "redirected" => "The answer leads elsewhere, and redirects are not followed",
        "gone" => "The receiver says that it is gone for good",
        "secret_unreadable" => {
            "Not sent: the webhook's secret or headers cannot be decrypted on this server. Rotate the secret, and save \
             the headers again"
        }
        other => other,
    }
}

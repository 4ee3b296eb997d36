use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::{EventType, Mode, string_enum};
use crate::{DeliveryId, Secret, Timestamp, WebhookId, WorkspaceId, hours};

/// How long the previous secret also signs after a rotation.
pub const SECRET_OVERLAP: Duration = hours(24);
/// The maximum number of webhooks of a workspace in each mode.
pub const MAX_WEBHOOKS: u64 = 100;
pub const MAX_DESCRIPTION_LEN: usize = 300;
/// The maximum number of custom headers of a webhook.
pub const MAX_HEADERS: usize = 10;
/// The number of deliveries on a page.
pub const PAGE: u64 = 25;
/// The number of recent events that a dry run checks.
pub const DRY_RUN: u64 = 50;
/// The number of rows for filters and for headers in the form.
pub const FILTER_ROWS: usize = 3;
pub const HEADER_ROWS: usize = 2;

string_enum! {
    /// The status of a webhook.
    Status {
        Enabled = "enabled",
        /// By a person, until a person enables it.
        Paused = "paused",
        /// By the server, after repeated failures.
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
    /// The status of a delivery.
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
            Self::Cancelled => "Canceled",
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
    /// The comparison of a filter.
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

impl Operator {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Equals => "is",
            Self::NotEquals => "is not",
            Self::Contains => "contains",
            Self::NotContains => "does not contain",
            Self::StartsWith => "starts with",
            Self::GreaterThan => "is greater than",
            Self::LessThan => "is less than",
            Self::In => "is one of",
            Self::Exists => "exists",
        }
    }
}

/// A custom header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub name: String,
    pub value: Secret,
}

/// The form for new and existing webhooks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookForm {
    pub workspace: String,
    /// The webhook's id; empty for a new one.
    pub webhook: String,
    pub url: String,
    pub description: String,
    /// Empty means every type, including new ones.
    pub event_types: Vec<String>,
    pub include_test_events: String,
    pub filters: Vec<FilterForm>,
    pub headers: Vec<HeaderForm>,
    /// Set by the button that only tries the filters.
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
    /// Empty keeps the stored value of this header.
    pub value: Secret,
}

/// A change that requires a recent sign-in.
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
    /// The number of failed attempts in a row, and the time of the next try.
    pub failures: u32,
    pub circuit_open_until: Option<Timestamp>,
    /// When the previous secret expires.
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

/// The attempts of a period in equal steps, oldest first.
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
    /// The outcome of the last attempt: `200`, `timeout`.
    pub last: String,
    pub created_at: Timestamp,
    pub next_attempt_at: Option<Timestamp>,
}

/// An open delivery.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeliveryView {
    pub id: DeliveryId,
    pub event: String,
    pub event_type: EventType,
    pub test: bool,
    pub status: DeliveryStatus,
    pub next_attempt_at: Option<Timestamp>,
    /// The request body, indented.
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
    /// `name: value`, one per line; `None` once they were deleted.
    pub request_headers: Option<String>,
    pub response_headers: Option<String>,
    pub response_body: Option<String>,
}

/// Why an attempt failed, as the API reports it.
pub const ATTEMPT_ERRORS: [&str; 11] = [
    "dns_failed",
    "address_refused",
    "connect_failed",
    "tls_failed",
    "timeout",
    "too_slow",
    "connection_lost",
    "redirected",
    "gone",
    "status",
    "secret_unreadable",
];

/// The text for an error of an attempt; a status code stands for itself.
pub fn explain(error: &str) -> &str {
    match error {
        "dns_failed" => "Host not found (DNS)",
        "address_refused" => "Host has a private or reserved IP address",
        "connect_failed" => "Connection refused",
        "tls_failed" => "Invalid TLS certificate",
        "timeout" => "Timed out after 15 seconds",
        "too_slow" => "Response timed out",
        "connection_lost" => "Connection closed before a response",
        "redirected" => "Redirects aren't followed",
        "gone" => "Endpoint returned 410 Gone",
        "secret_unreadable" => {
            "Not sent: this server can't decrypt the webhook's secret or headers. Rotate the secret and save the headers \
             again."
        }
        other => other,
    }
}

//! Webhooks, their deliveries and the bodies of requests, as the public API describes them.

use std::collections::BTreeMap;

use domain::catalog::{EventType, Mode};
use domain::webhooks::{DeliveryStatus, Status};
use domain::{DeliveryId, EventId, FieldErrors, Secret, Timestamp, WebhookId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::db::entity::{delivery, delivery_attempt, webhook};
use crate::webhooks::filter::Filter;

/// A webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Webhook {
    #[schema(value_type = String, example = "whk_01h455vb4pex5vsknk084sn02q")]
    pub id: WebhookId,
    #[schema(example = "https://hooks.acme.example/wheelhouse")]
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub description: Option<String>,
    /// Event types to send. Empty means every type.
    pub event_types: Vec<EventType>,
    pub filters: Vec<Filter>,
    #[schema(schema_with = statuses)]
    pub status: Status,
    /// Mode of the key that created it. A `test` webhook receives only test events, and a test key sees only `test` webhooks.
    pub mode: Mode,
    /// Whether it receives events created with test keys. Always true for a `test` webhook.
    pub include_test_events: bool,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Signing secret. Only returned when you create the webhook, rotate its secret or change its URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    pub secret: Option<Secret>,
}

impl From<&webhook::Model> for Webhook {
    fn from(row: &webhook::Model) -> Self {
        Self {
            id: row.id,
            url: row.url.clone(),
            description: Some(row.description.clone()).filter(|text| !text.is_empty()),
            event_types: event_types(row),
            filters: filters(row),
            status: row.status,
            mode: row.mode,
            include_test_events: row.include_test_events,
            created_at: row.created_at.rfc3339(),
            secret: None,
        }
    }
}

impl Webhook {
    #[must_use]
    pub fn with_secret(mut self, secret: Option<Secret>) -> Self {
        self.secret = secret;
        self
    }
}

/// The event types of a webhook; empty means every type.
pub fn event_types(row: &webhook::Model) -> Vec<EventType> {
    read(&row.event_types)
}

pub fn filters(row: &webhook::Model) -> Vec<Filter> {
    read(&row.filters)
}

fn read<T: serde::de::DeserializeOwned + Default>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

/// A new webhook.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWebhookRequest {
    /// URL that receives the events: `https://` or `http://`, on a public host.
    #[schema(
        min_length = 1,
        max_length = 2000,
        example = "https://hooks.acme.example/wheelhouse"
    )]
    pub url: String,
    /// A single line of text.
    #[serde(default)]
    #[schema(max_length = 300, example = "Won deals to the warehouse")]
    pub description: Option<String>,
    /// Event types to send. Empty or omitted means every type, including new ones.
    #[serde(default)]
    #[schema(value_type = Vec<EventType>, required = false, example = json!(["contact.stage_changed"]))]
    pub event_types: Vec<String>,
    /// Only events that match every filter are sent. Up to 20 filters.
    #[serde(default)]
    #[schema(required = false, max_items = 20)]
    pub filters: Vec<Filter>,
    /// Whether to also send events created with test keys. A webhook created with a test key receives only those.
    #[serde(default)]
    #[schema(required = false, default = false)]
    pub include_test_events: bool,
    /// Custom headers by name. Up to 10. Values are never returned.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, required = false, example = json!({"x-api-key": "open sesame"}))]
    pub headers: BTreeMap<String, Secret>,
}

/// Changes to a webhook. Omitted fields stay unchanged.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateWebhookRequest {
    /// A new URL creates a new signing secret. If its scheme, host or port differs, send the values of all headers again
    /// or remove the headers.
    #[schema(
        min_length = 1,
        max_length = 2000,
        example = "https://hooks.acme.example/wheelhouse"
    )]
    pub url: Option<String>,
    /// An empty string removes it.
    #[schema(max_length = 300, example = "Won deals to the warehouse")]
    pub description: Option<String>,
    /// Replaces the event types. An empty list means every type.
    #[schema(value_type = Option<Vec<EventType>>, example = json!(["contact.stage_changed"]))]
    pub event_types: Option<Vec<String>>,
    /// Replaces the filters. An empty list sends every event.
    #[schema(max_items = 20)]
    pub filters: Option<Vec<Filter>>,
    /// No effect on a `test` webhook.
    pub include_test_events: Option<bool>,
    /// Replaces the headers. `null` keeps the stored value of a header, unless the URL has a new scheme, host or port.
    #[schema(value_type = Option<BTreeMap<String, Option<String>>>, example = json!({"x-api-key": "open sesame"}))]
    pub headers: Option<BTreeMap<String, Option<Secret>>>,
    #[schema(schema_with = settable_statuses)]
    pub status: Option<Status>,
}

/// The schema of a status.
fn statuses() -> Object {
    choice(
        &Status::ALL,
        "`paused`: by a user or an API key. `disabled`: automatically, after repeated failures.",
    )
}

/// The schema of a status that a client can set: only the server disables.
fn settable_statuses() -> Object {
    choice(
        &[Status::Enabled, Status::Paused],
        "`paused` stops deliveries. `enabled` starts them again, also after Wheelhouse disabled the webhook.",
    )
}

fn choice(of: &[Status], description: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(of.iter().map(|status| status.as_str())))
        .description(Some(description))
        .build()
}

/// A test delivery.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TestWebhookRequest {
    /// Event type of the sample. Defaults to `contact.created`.
    #[schema(value_type = Option<EventType>)]
    pub event_type: Option<String>,
}

impl TestWebhookRequest {
    pub fn parse(&self) -> Result<EventType, FieldErrors> {
        let Some(name) = &self.event_type else {
            return Ok(EventType::ContactCreated);
        };
        let mut errors = FieldErrors::new();
        errors.check("event_type", name.parse()).ok_or(errors)
    }
}

/// A delivery of an event to a webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebhookDelivery {
    #[schema(value_type = String, example = "dlv_01h455vb4pex5vsknk084sn02q")]
    pub id: DeliveryId,
    /// Sent in the `webhook-id` header.
    #[schema(value_type = String, example = "evt_01h455vb4pex5vsknk084sn02q")]
    pub event_id: EventId,
    pub event_type: EventType,
    #[schema(inline)]
    pub status: DeliveryStatus,
    /// Attempts, oldest first.
    pub attempts: Vec<DeliveryAttempt>,
    /// Time of the next attempt while the delivery is pending. RFC 3339, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, format = DateTime)]
    pub next_attempt_at: Option<String>,
}

/// An attempt of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeliveryAttempt {
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub at: String,
    /// Status code of the response, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i32, required = false, example = 503)]
    pub status_code: Option<i32>,
    /// Why the attempt failed, for example `timeout` or `dns_failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "timeout")]
    pub error: Option<String>,
    pub duration_ms: i64,
    /// Headers of the request. Headers and bodies are deleted after 30 days and are then null.
    #[schema(value_type = Option<BTreeMap<String, String>>, required = true)]
    pub request_headers: Option<Value>,
    /// Headers of the response.
    #[schema(value_type = Option<BTreeMap<String, String>>, required = true)]
    pub response_headers: Option<Value>,
    /// Body of the response, up to 20 kB.
    #[schema(required = true)]
    pub response_body: Option<String>,
}

impl WebhookDelivery {
    pub fn new(row: &delivery::Model, attempts: &[delivery_attempt::Model]) -> Self {
        Self {
            id: row.id,
            event_id: row.event_id,
            event_type: row.event_type,
            status: row.status,
            attempts: attempts
                .iter()
                .filter(|attempt| attempt.delivery_id == row.id)
                .map(|attempt| DeliveryAttempt {
                    at: attempt.at.rfc3339(),
                    status_code: attempt.status_code,
                    error: attempt.error.clone(),
                    duration_ms: attempt.duration_ms,
                    request_headers: attempt.request_headers.clone(),
                    response_headers: attempt.response_headers.clone(),
                    response_body: attempt.response_body.clone(),
                })
                .collect(),
            next_attempt_at: row.next_attempt_at.map(Timestamp::rfc3339),
        }
    }
}

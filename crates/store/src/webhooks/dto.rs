//! The public API's schemas for webhooks.

use std::collections::BTreeMap;

use domain::catalog::{EventType, Mode};
use domain::webhooks::{
    DeliveryStatus, FilterForm, Header, MAX_DESCRIPTION_LEN, MAX_HEADERS, Operator, Status,
    WebhookForm,
};
use domain::{DeliveryId, EventId, FieldErrors, Secret, Timestamp, WebhookId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::address::{Policy, parse_url};
use super::filter::{Filter, MAX_FILTERS};
use crate::db::entity::{delivery, delivery_attempt, webhook};

const MAX_HEADER_VALUE_LEN: usize = 1000;

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

/// A valid new webhook.
#[derive(Clone, Debug)]
pub struct WebhookDraft {
    pub url: String,
    pub description: String,
    pub event_types: Vec<EventType>,
    pub filters: Vec<Filter>,
    pub include_test_events: bool,
    pub headers: Vec<Header>,
}

impl CreateWebhookRequest {
    pub fn parse(&self, policy: &Policy) -> Result<WebhookDraft, FieldErrors> {
        let mut errors = FieldErrors::new();
        let url = errors.check("url", parse_url(&self.url, policy));
        let description = errors.check(
            "description",
            parse_description(self.description.as_deref().unwrap_or_default()),
        );
        let event_types = errors.check("event_types", parse_types(&self.event_types));
        let filters = errors.check("filters", parse_filters(&self.filters));
        let headers = errors.check(
            "headers",
            parse_headers(
                self.headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), Some(value))),
                &[],
            ),
        );
        match (url, description, event_types, filters, headers) {
            (Some(url), Some(description), Some(event_types), Some(filters), Some(headers)) => {
                Ok(WebhookDraft {
                    url,
                    description,
                    event_types,
                    filters,
                    include_test_events: self.include_test_events,
                    headers,
                })
            }
            _ => Err(errors),
        }
    }
}

impl From<&WebhookForm> for UpdateWebhookRequest {
    fn from(form: &WebhookForm) -> Self {
        let headers = form
            .headers
            .iter()
            .filter(|header| !header.name.trim().is_empty())
            .map(|header| {
                let value = Some(header.value.clone()).filter(|value| !value.is_empty());
                (header.name.trim().to_owned(), value)
            });
        Self {
            url: Some(form.url.clone()),
            description: Some(form.description.clone()),
            event_types: Some(form.event_types.clone()),
            filters: Some(form.filters.iter().filter_map(filter_of).collect()),
            include_test_events: Some(!form.include_test_events.is_empty()),
            headers: Some(headers.collect()),
            status: None,
        }
    }
}

impl From<&WebhookForm> for CreateWebhookRequest {
    fn from(form: &WebhookForm) -> Self {
        let patch = UpdateWebhookRequest::from(form);
        Self {
            url: form.url.clone(),
            description: patch.description,
            event_types: form.event_types.clone(),
            filters: patch.filters.unwrap_or_default(),
            include_test_events: patch.include_test_events.unwrap_or_default(),
            headers: patch
                .headers
                .unwrap_or_default()
                .into_iter()
                .map(|(name, value)| (name, value.unwrap_or_default()))
                .collect(),
        }
    }
}

/// A row of the form. A row without a path is ignored.
fn filter_of(row: &FilterForm) -> Option<Filter> {
    let path = row.path.trim();
    let operator: Operator = row.operator.parse().unwrap_or(Operator::Equals);
    let value = row.value.trim();
    let value = match operator {
        Operator::Exists if value.is_empty() => None,
        Operator::Exists if value == "true" || value == "false" => {
            Some(Value::Bool(value == "true"))
        }
        _ if value.is_empty() => None,
        _ => Some(Value::String(value.to_owned())),
    };
    (!path.is_empty()).then(|| Filter {
        path: path.to_owned(),
        operator,
        value,
    })
}

/// The row of the form for a filter.
pub fn filter_row(filter: &Filter) -> FilterForm {
    let value = match &filter.value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => list
            .iter()
            .map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            })
            .collect::<Vec<_>>()
            .join(", "),
        Some(other) => other.to_string(),
    };
    FilterForm {
        path: filter.path.clone(),
        operator: filter.operator.to_string(),
        value,
    }
}

pub fn parse_description(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > MAX_DESCRIPTION_LEN {
        return Err(format!(
            "Enter a description of up to {MAX_DESCRIPTION_LEN} characters"
        ));
    }
    if text.chars().any(char::is_control) {
        return Err("Enter the description on one line".to_owned());
    }
    Ok(text.to_owned())
}

pub fn parse_types(names: &[String]) -> Result<Vec<EventType>, String> {
    let mut types = names
        .iter()
        .map(|name| name.parse::<EventType>().map_err(|error| error.to_string()))
        .collect::<Result<Vec<_>, _>>()?;
    types.sort_unstable();
    types.dedup();
    Ok(types)
}

pub fn parse_filters(filters: &[Filter]) -> Result<Vec<Filter>, String> {
    if filters.len() > MAX_FILTERS {
        return Err(format!("Enter up to {MAX_FILTERS} filters"));
    }
    for (index, filter) in filters.iter().enumerate() {
        filter
            .check()
            .map_err(|why| format!("Filter {}: {why}", index + 1))?;
    }
    Ok(filters.to_vec())
}

/// Headers that Wheelhouse sets, or that control the transport of the request.
const RESERVED: [&str; 18] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

pub fn parse_headers<'a>(
    given: impl Iterator<Item = (&'a str, Option<&'a Secret>)>,
    stored: &[Header],
) -> Result<Vec<Header>, String> {
    let mut headers: Vec<Header> = Vec::new();
    for (name, value) in given {
        let name = name.trim().to_ascii_lowercase();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&byte);
        if name.is_empty() || name.len() > 100 || !name.bytes().all(token) {
            return Err(format!("“{name}” isn't a valid header name"));
        }
        if RESERVED.contains(&name.as_str()) || name.starts_with("webhook-") {
            return Err(format!("{name} is reserved"));
        }
        let kept = stored.iter().find(|header| header.name == name);
        let value = value
            .cloned()
            .or_else(|| kept.map(|header| header.value.clone()))
            .unwrap_or_default();
        let text = value.expose();
        if text.is_empty() || text.len() > MAX_HEADER_VALUE_LEN {
            return Err(format!(
                "Enter a value of up to {MAX_HEADER_VALUE_LEN} characters for {name}"
            ));
        }
        if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(format!(
                "Use only printable ASCII characters in the value of {name}"
            ));
        }
        if headers.iter().any(|header| header.name == name) {
            return Err(format!("{name} is listed twice"));
        }
        headers.push(Header { name, value });
    }
    if headers.len() > MAX_HEADERS {
        return Err(format!("Enter up to {MAX_HEADERS} headers"));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &str, value: &str) -> Result<Vec<Header>, String> {
        parse_headers([(name, Some(&Secret::from(value)))].into_iter(), &[])
    }

    #[test]
    fn headers_may_not_say_what_is_ours_to_say() {
        for name in [
            "Host",
            "content-type",
            "Webhook-Signature",
            "Transfer-Encoding",
            "Connection",
            "User-Agent",
            "",
            "a b",
            "x:y",
            "x\r\ny",
        ] {
            assert!(headers(name, "x").is_err(), "{name}");
        }
        for value in ["", "a\r\nHost: evil", "é", &"x".repeat(1001)] {
            assert!(headers("X-Key", value).is_err(), "{value}");
        }
        assert_eq!(headers("X-Key", "open sesame").unwrap()[0].name, "x-key");
    }

    #[test]
    fn a_header_without_a_value_keeps_the_stored_one() {
        let stored = headers("X-Key", "old").unwrap();
        let kept = parse_headers([("x-key", None)].into_iter(), &stored).unwrap();
        assert_eq!(kept, stored);
        assert!(parse_headers([("x-other", None)].into_iter(), &stored).is_err());
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let input = CreateWebhookRequest {
            url: "http://10.0.0.1/".into(),
            description: Some("x".repeat(301)),
            event_types: vec!["contact.exploded".into()],
            filters: vec![Filter {
                path: String::new(),
                operator: Operator::Equals,
                value: None,
            }],
            include_test_events: false,
            headers: [("host".to_owned(), Secret::from("x"))].into(),
        };
        let errors = input.parse(&Policy::default()).unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|(field, _)| field).collect();
        assert_eq!(
            fields,
            ["description", "event_types", "filters", "headers", "url"]
        );
    }
}

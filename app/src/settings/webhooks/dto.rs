//! Webhooks as the public API shows and takes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::address::{Policy, parse_url};
use super::filter::{Filter, MAX_FILTERS};
use super::model::{
    DeliveryStatus, FilterForm, Header, MAX_DESCRIPTION_LEN, MAX_HEADERS, Operator, Status,
    WebhookForm,
};
use crate::catalog::{EventType, Mode};
use crate::db::entity::{delivery, delivery_attempt, webhook};
use crate::domain::{DeliveryId, EventId, FieldErrors, Secret, Timestamp, WebhookId};

const MAX_HEADER_VALUE_LEN: usize = 1000;

/// A webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebhookOut {
    #[schema(value_type = String, example = "whk_01h455vb4pex5vsknk084sn02q")]
    pub id: WebhookId,
    #[schema(example = "https://hooks.acme.example/wheelhouse")]
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub description: Option<String>,
    /// Empty is every type.
    pub event_types: Vec<EventType>,
    pub filters: Vec<Filter>,
    #[schema(schema_with = statuses)]
    pub status: Status,
    /// That of the key that made it. A `test` webhook gets test events alone; a key of type test sees no other.
    pub mode: Mode,
    /// Whether it gets what test keys cause: always, if it is a `test` webhook.
    pub include_test_events: bool,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Only in the answer that made it: to creating the webhook, to rotating the secret, to another URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    pub secret: Option<Secret>,
}

impl From<&webhook::Model> for WebhookOut {
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

impl WebhookOut {
    #[must_use]
    pub fn with_secret(mut self, secret: Option<Secret>) -> Self {
        self.secret = secret;
        self
    }
}

/// The types that a webhook wants; none is every type.
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
pub struct WebhookIn {
    /// Where events are posted to: `https://` or `http://`, at a public address.
    #[schema(
        min_length = 1,
        max_length = 2000,
        example = "https://hooks.acme.example/wheelhouse"
    )]
    pub url: String,
    /// One line.
    #[serde(default)]
    #[schema(max_length = 300, example = "Won deals to the warehouse")]
    pub description: Option<String>,
    /// Empty or left out is every type, also those to come.
    #[serde(default)]
    #[schema(value_type = Vec<EventType>, required = false, example = json!(["contact.stage_changed"]))]
    pub event_types: Vec<String>,
    /// Conditions that must all hold for an event to be sent: at most 20.
    #[serde(default)]
    #[schema(required = false, max_items = 20)]
    pub filters: Vec<Filter>,
    /// Whether it also gets what test keys cause. Made by a test key, it gets nothing else, whatever is said here.
    #[serde(default)]
    #[schema(required = false, default = false)]
    pub include_test_events: bool,
    /// Headers of your own, by name: at most 10. They are never shown again.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, required = false, example = json!({"x-api-key": "open sesame"}))]
    pub headers: BTreeMap<String, Secret>,
}

/// Changes to a webhook: what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookPatch {
    /// Another URL gets another secret. If it leads to another scheme, host or port, the values of all headers are given
    /// again with it, or the headers are removed.
    #[schema(
        min_length = 1,
        max_length = 2000,
        example = "https://hooks.acme.example/wheelhouse"
    )]
    pub url: Option<String>,
    /// An empty text takes it away.
    #[schema(max_length = 300, example = "Won deals to the warehouse")]
    pub description: Option<String>,
    /// All of them; an empty list is every type.
    #[schema(value_type = Option<Vec<EventType>>, example = json!(["contact.stage_changed"]))]
    pub event_types: Option<Vec<String>>,
    /// All of them; an empty list lets everything pass.
    #[schema(max_items = 20)]
    pub filters: Option<Vec<Filter>>,
    /// Of no effect on a `test` webhook.
    pub include_test_events: Option<bool>,
    /// All of them; `null` as a value keeps the one that is stored under this name, unless the URL leads elsewhere.
    #[schema(value_type = Option<BTreeMap<String, Option<String>>>, example = json!({"x-api-key": "open sesame"}))]
    pub headers: Option<BTreeMap<String, Option<Secret>>>,
    #[schema(schema_with = settable_statuses)]
    pub status: Option<Status>,
}

/// The statuses that there are, for the documentation.
fn statuses() -> Object {
    choice(
        &Status::ALL,
        "`paused` by someone, `disabled` by Wheelhouse after it failed for too long.",
    )
}

/// Those that a caller can ask for: only the server disables.
fn settable_statuses() -> Object {
    choice(
        &[Status::Enabled, Status::Paused],
        "Pauses it, or lets it go on, also after Wheelhouse disabled it.",
    )
}

fn choice(of: &[Status], description: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(of.iter().map(|status| status.as_str())))
        .description(Some(description))
        .build()
}

/// What to test with.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TestIn {
    /// The type of the sample: `contact.created` if it is left out.
    #[schema(value_type = Option<EventType>)]
    pub event_type: Option<String>,
}

impl TestIn {
    pub fn parse(&self) -> Result<EventType, FieldErrors> {
        let Some(name) = &self.event_type else {
            return Ok(EventType::ContactCreated);
        };
        let mut errors = FieldErrors::new();
        errors.check("event_type", name.parse()).ok_or(errors)
    }
}

/// An event on its way to a webhook, or there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeliveryOut {
    #[schema(value_type = String, example = "dlv_01h455vb4pex5vsknk084sn02q")]
    pub id: DeliveryId,
    /// The receiver gets it as `webhook-id`.
    #[schema(value_type = String, example = "evt_01h455vb4pex5vsknk084sn02q")]
    pub event_id: EventId,
    pub event_type: EventType,
    #[schema(inline)]
    pub status: DeliveryStatus,
    /// Oldest first.
    pub attempts: Vec<AttemptOut>,
    /// While it is pending. RFC 3339, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, format = DateTime)]
    pub next_attempt_at: Option<String>,
}

/// One attempt to deliver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AttemptOut {
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub at: String,
    /// What the receiver answered, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i32, required = false, example = 503)]
    pub status_code: Option<i32>,
    /// Why it failed, such as `timeout` or `dns_failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "timeout")]
    pub error: Option<String>,
    pub duration_ms: i64,
    /// Headers and the answer's body are cleared away after 30 days, and null from then on.
    #[schema(value_type = Option<BTreeMap<String, String>>, required = true)]
    pub request_headers: Option<Value>,
    #[schema(value_type = Option<BTreeMap<String, String>>, required = true)]
    pub response_headers: Option<Value>,
    /// At most 20 kB of it.
    #[schema(required = true)]
    pub response_body: Option<String>,
}

impl DeliveryOut {
    pub fn new(row: &delivery::Model, attempts: &[delivery_attempt::Model]) -> Self {
        Self {
            id: row.id,
            event_id: row.event_id,
            event_type: row.event_type,
            status: row.status,
            attempts: attempts
                .iter()
                .filter(|attempt| attempt.delivery_id == row.id)
                .map(|attempt| AttemptOut {
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

/// A webhook that makes sense.
#[derive(Clone, Debug)]
pub struct WebhookDraft {
    pub url: String,
    pub description: String,
    pub event_types: Vec<EventType>,
    pub filters: Vec<Filter>,
    pub include_test_events: bool,
    pub headers: Vec<Header>,
}

impl WebhookIn {
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

impl From<&WebhookForm> for WebhookPatch {
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

impl From<&WebhookForm> for WebhookIn {
    fn from(form: &WebhookForm) -> Self {
        let patch = WebhookPatch::from(form);
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

/// A row of the form. A row without a path is no filter.
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

/// And back, for the form that changes it.
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
            "A description has at most {MAX_DESCRIPTION_LEN} characters"
        ));
    }
    if text.chars().any(char::is_control) {
        return Err("A description is one line of text".to_owned());
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
        return Err(format!("A webhook has at most {MAX_FILTERS} filters"));
    }
    for (index, filter) in filters.iter().enumerate() {
        filter
            .check()
            .map_err(|why| format!("Filter {}: {why}", index + 1))?;
    }
    Ok(filters.to_vec())
}

/// Headers that are ours, or that say how the request itself travels.
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
            return Err(format!("“{name}” is no name of a header"));
        }
        if RESERVED.contains(&name.as_str()) || name.starts_with("webhook-") {
            return Err(format!("The header {name} is not yours to set"));
        }
        let kept = stored.iter().find(|header| header.name == name);
        let value = value
            .cloned()
            .or_else(|| kept.map(|header| header.value.clone()))
            .unwrap_or_default();
        let text = value.expose();
        if text.is_empty() || text.len() > MAX_HEADER_VALUE_LEN {
            return Err(format!(
                "The header {name} needs a value of at most {MAX_HEADER_VALUE_LEN} characters"
            ));
        }
        if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(format!("The value of the header {name} is not plain text"));
        }
        if headers.iter().any(|header| header.name == name) {
            return Err(format!("The header {name} is there twice"));
        }
        headers.push(Header { name, value });
    }
    if headers.len() > MAX_HEADERS {
        return Err(format!("A webhook has at most {MAX_HEADERS} headers"));
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
        let input = WebhookIn {
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

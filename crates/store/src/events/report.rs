//! Events that the product reports: its automations, its notices and its changes to contacts.

use domain::catalog::{Category, EventType, Mode};
use domain::contacts::text;
use domain::{AppError, EventId, FieldErrors, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::NewEvent;
use crate::auth::{Permit, Principal, can};
use crate::db::Tx;

/// Maximum size of an event's data as JSON, in bytes.
pub const MAX_DATA_BYTES: usize = 64 * 1024;
/// Maximum length of a subject, in characters.
pub const MAX_SUBJECT_LEN: usize = 200;

/// Maximum lengths of the texts that notifications show, in characters, by their field in the data.
pub const MAX_TEXT_LENS: [(&str, usize); 5] = [
    ("title", 200),
    ("name", 200),
    ("detail", 500),
    ("from", 200),
    ("to", 200),
];
/// Maximum length of a tag in a `contact.tagged` event, in characters.
pub const MAX_TAG_LEN: usize = 200;

/// An event that the product reports.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEventRequest {
    /// A type of the categories System, Automations and Contacts.
    #[serde(rename = "type")]
    #[schema(schema_with = reportable_types)]
    pub event_type: String,
    /// Details of the event: at most 64 kB as JSON. Notifications show `title`, `name`, `from` and `to` (at most 200
    /// characters each, on one line), `detail` (500) and the texts in `added` (200).
    #[schema(example = json!({"name": "Welcome sequence", "detail": "12 messages sent"}))]
    pub data: Map<String, Value>,
    /// The subject of the event, such as a contact's id or an email address. Stored as `subject` in the data.
    #[schema(
        min_length = 1,
        max_length = 200,
        example = "con_01h455vb4pex5vsknk084sn02q"
    )]
    pub subject: Option<String>,
}

/// A recorded event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CreatedEvent {
    #[schema(value_type = String, example = "evt_01h455vb4pex5vsknk084sn02q")]
    pub id: EventId,
    #[serde(rename = "type")]
    pub event_type: EventType,
    pub category: Category,
    pub mode: Mode,
    pub data: Map<String, Value>,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// A valid report.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedEvent {
    event_type: EventType,
    data: Map<String, Value>,
}

/// Whether the product can report events of this type. Wheelhouse itself creates the others.
pub fn is_reportable(event_type: EventType) -> bool {
    matches!(
        event_type.category(),
        Category::System | Category::Automations | Category::Contacts
    )
}

/// The reportable types, for the documentation.
fn reportable_types() -> utoipa::openapi::Object {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .enum_values(Some(reportable_names()))
        .examples(["automation.completed"])
        .description(Some("What happened."))
        .build()
}

fn reportable_names() -> Vec<&'static str> {
    let all = EventType::ALL
        .into_iter()
        .filter(|event| is_reportable(*event));
    all.map(EventType::as_str).collect()
}

impl CreateEventRequest {
    pub fn parse(self) -> Result<ReportedEvent, FieldErrors> {
        let mut errors = FieldErrors::new();
        let event_type = errors.check("type", reportable(&self.event_type));
        let mut data = self.data;
        check_texts(&data, &mut errors);
        let subject = self.subject.map(|subject| text(&subject, MAX_SUBJECT_LEN));
        if let Some(subject) = subject.and_then(|subject| errors.check("subject", subject)) {
            data.insert("subject".to_owned(), subject.into());
        }
        let data = Value::Object(data);
        if data.to_string().len() > MAX_DATA_BYTES {
            errors.add(
                "data",
                format!("Must be no larger than {MAX_DATA_BYTES} bytes as JSON"),
            );
        }
        // PostgreSQL cannot store this character in JSON.
        if holds_nul(&data) {
            errors.add("data", "Must not contain the character U+0000");
        }
        match (event_type, data) {
            (Some(event_type), Value::Object(data)) if errors.is_empty() => {
                Ok(ReportedEvent { event_type, data })
            }
            _ => Err(errors),
        }
    }
}

/// Texts in notifications are short and on one line. Values that are not texts are not shown.
fn check_texts(data: &Map<String, Value>, errors: &mut FieldErrors) {
    for (field, longest) in MAX_TEXT_LENS {
        if let Some(text) = data.get(field).and_then(Value::as_str) {
            errors.check(&format!("data.{field}"), shown(text, longest));
        }
    }
    let added = data.get("added").and_then(Value::as_array);
    for text in added.into_iter().flatten().filter_map(Value::as_str) {
        errors.check("data.added", shown(text, MAX_TAG_LEN));
    }
}

fn shown(text: &str, longest: usize) -> Result<(), String> {
    if text.chars().any(char::is_control) {
        return Err("Must be a single line without control characters".to_owned());
    }
    if text.chars().count() > longest {
        return Err(format!("Must be {longest} characters or fewer"));
    }
    Ok(())
}

fn reportable(name: &str) -> Result<EventType, String> {
    let event_type: Option<EventType> = name.parse().ok();
    event_type
        .filter(|event| is_reportable(*event))
        .ok_or_else(|| format!("Must be one of {}", reportable_names().join(", ")))
}

/// Whether any text in the value contains the character U+0000.
pub(crate) fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

/// Records an event that the product reports, in the mode of its key.
pub async fn report(
    tx: &mut Tx,
    principal: &Permit<can::ReportEvents, Principal>,
    report: ReportedEvent,
) -> Result<CreatedEvent, AppError> {
    principal.require_confirmed()?;
    let now = Timestamp::now();
    let ReportedEvent { event_type, data } = report;
    let event = NewEvent::in_workspace(
        principal.workspace(),
        event_type,
        Value::Object(data.clone()),
    )
    .in_mode(principal.mode());
    let id = super::record_at(tx, principal, event, now).await?;
    Ok(CreatedEvent {
        id,
        event_type,
        category: event_type.category(),
        mode: principal.mode(),
        data,
        created_at: now.rfc3339(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of_type(event_type: &str, data: Value) -> CreateEventRequest {
        CreateEventRequest {
            event_type: event_type.to_owned(),
            data: data.as_object().cloned().unwrap_or_default(),
            subject: None,
        }
    }

    #[test]
    fn only_what_happens_in_the_product_can_be_reported() {
        for event_type in EventType::ALL {
            let own = matches!(
                event_type.as_str().split('.').next(),
                Some("system" | "automation" | "sequence" | "contact")
            );
            let parsed = of_type(event_type.as_str(), json!({})).parse();
            assert_eq!(parsed.is_ok(), own, "{event_type}");
        }
        assert!(of_type("nonsense", json!({})).parse().is_err());
    }

    #[test]
    fn a_subject_is_kept_with_the_data() {
        let event = CreateEventRequest {
            subject: Some(" grace@hanok.example ".into()),
            ..of_type(
                "sequence.replied",
                json!({"name": "Welcome", "subject": "x"}),
            )
        };
        let data = event.parse().unwrap().data;
        assert_eq!(data["subject"], "grace@hanok.example");
    }

    #[test]
    fn what_notifications_show_is_one_short_line() {
        for (field, longest) in MAX_TEXT_LENS {
            let with = |text: String| of_type("system.announcement", json!({field: text})).parse();
            assert!(with("ä".repeat(longest)).is_ok(), "{field}");
            for bad in ["x".repeat(longest + 1), "a\r\nBcc: x".to_owned()] {
                let errors = with(bad).unwrap_err();
                assert!(errors.get(&format!("data.{field}")).is_some(), "{field}");
            }
        }
        let tag = "x".repeat(MAX_TAG_LEN + 1);
        let errors = of_type("contact.tagged", json!({"added": ["vip", tag]}))
            .parse()
            .unwrap_err();
        assert!(errors.get("data.added").is_some());
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let large = json!({"text": "x".repeat(MAX_DATA_BYTES)});
        let errors = of_type("system.incident", large).parse().unwrap_err();
        assert!(errors.get("data").is_some());
        let nul = json!({"list": [{"a\u{0}": 1}]});
        assert!(of_type("system.incident", nul).parse().is_err());
    }
}

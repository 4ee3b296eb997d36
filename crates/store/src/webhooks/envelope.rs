//! The request body of a delivery: the envelope of an event. It is built from the event's row, which never changes, so
//! every attempt sends the same bytes.

use std::cell::OnceCell;

use domain::catalog::{Category, EventType, Mode};
use domain::{ApiKeyId, EventId, Timestamp, UserId, WorkspaceId};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::filter;
use crate::db::entity::event;

#[derive(Serialize)]
struct Envelope<'a> {
    id: EventId,
    #[serde(rename = "type")]
    event_type: EventType,
    category: Category,
    mode: Mode,
    workspace: Option<WorkspaceId>,
    created_at: String,
    actor: EnvelopeActor<'a>,
    data: &'a Value,
}

#[derive(Serialize)]
struct EnvelopeActor<'a> {
    kind: &'a str,
    id: Option<String>,
    name: &'a str,
}

fn envelope(event: &event::Model) -> Envelope<'_> {
    with_data(event, &event.data)
}

fn with_data<'a>(event: &'a event::Model, data: &'a Value) -> Envelope<'a> {
    Envelope {
        id: event.id,
        event_type: event.event_type,
        category: event.category,
        mode: event.mode,
        workspace: event.workspace_id,
        created_at: event.created_at.rfc3339(),
        actor: EnvelopeActor {
            kind: &event.actor_kind,
            id: event.actor_id.map(|id| actor_id(&event.actor_kind, id)),
            name: &event.actor_name,
        },
        data,
    }
}

fn actor_id(kind: &str, id: Uuid) -> String {
    if kind == "key" {
        ApiKeyId::from_uuid(id).to_string()
    } else {
        UserId::from_uuid(id).to_string()
    }
}

/// The body of every attempt.
pub fn body(event: &event::Model) -> String {
    serde_json::to_string(&envelope(event)).unwrap_or_default()
}

/// The envelope of one event, for the filters of many webhooks: the fields around the data are built once, if a filter
/// needs them, and the data is read in place.
pub struct Walked<'a> {
    pub event: &'a event::Model,
    without_data: OnceCell<Value>,
}

impl<'a> Walked<'a> {
    pub fn new(event: &'a event::Model) -> Self {
        Self {
            event,
            without_data: OnceCell::new(),
        }
    }

    /// The value at this path.
    pub fn find(&self, steps: &[String]) -> Option<&Value> {
        match steps.split_first() {
            Some((first, rest)) if first == "data" => filter::walk(&self.event.data, rest),
            _ => filter::walk(self.without_data(), steps),
        }
    }

    fn without_data(&self) -> &Value {
        self.without_data.get_or_init(|| {
            serde_json::to_value(with_data(self.event, &Value::Null)).unwrap_or_default()
        })
    }
}

/// A sample event for Test, in test mode, so that an endpoint that checks the mode does not act on it.
pub fn sample(
    workspace: WorkspaceId,
    event_type: EventType,
    id: EventId,
    created_at: Timestamp,
) -> String {
    body(&event::Model {
        id,
        workspace_id: Some(workspace),
        event_type,
        category: event_type.category(),
        mode: Mode::Test,
        actor_kind: "system".to_owned(),
        actor_id: None,
        actor_name: "Wheelhouse".to_owned(),
        subject_user_id: None,
        data: sample_data(event_type),
        created_at,
        dispatched_at: None,
    })
}

fn sample_data(event_type: EventType) -> Value {
    let contact = "con_01h455vb4pex5vsknk084sn02q";
    match event_type.category() {
        Category::System => json!({"title": "Sample event"}),
        Category::Automations => json!({"name": "Welcome sequence", "detail": "Sample event"}),
        Category::Contacts => json!({
            "id": contact, "name": "Grace Kim", "email": "grace@hanok.example", "company": "Hanok Robotics",
            "stage": "contacted", "from": "lead", "to": "contacted", "tag": "priority", "tags": ["priority"],
        }),
        Category::Workspace => {
            json!({"name": "Grace Kim", "email": "grace@hanok.example", "role": "member", "from": "client", "to": "member"})
        }
        Category::Security => {
            json!({"name": "Sample event", "browser": "Firefox", "address": "192.0.2.7"})
        }
        Category::Billing => {
            json!({"plan": "scale", "amount": 9900, "currency": "usd", "credits": 1000, "balance": 480})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_is_as_documented_and_the_same_every_time() {
        let event = event::Model {
            id: "evt_01h455vb4pex5vsknk084sn02q".parse().unwrap(),
            workspace_id: Some("ws_01h455vb4pex5vsknk084sn02q".parse().unwrap()),
            event_type: EventType::ContactCreated,
            category: Category::Contacts,
            mode: Mode::Live,
            actor_kind: "person".into(),
            actor_id: Some("01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()),
            actor_name: "Adam Archer".into(),
            subject_user_id: None,
            data: json!({"name": "Ana", "stage": "lead"}),
            created_at: Timestamp::from_millis(1_795_435_200_000),
            dispatched_at: None,
        };
        assert_eq!(
            body(&event),
            r#"{"id":"evt_01h455vb4pex5vsknk084sn02q","type":"contact.created","category":"contacts","mode":"live","workspace":"ws_01h455vb4pex5vsknk084sn02q","created_at":"2026-11-23T12:00:00Z","actor":{"kind":"person","id":"usr_01h455vb4pex5vsknk084sn02q","name":"Adam Archer"},"data":{"name":"Ana","stage":"lead"}}"#
        );
        assert_eq!(body(&event), body(&event));
        let walked = Walked::new(&event);
        let whole: Value = serde_json::from_str(&body(&event)).unwrap();
        for path in [
            "data",
            "data.stage",
            "data.nowhere",
            "type",
            "actor",
            "actor.name",
            "workspace",
            "id.x",
            "nothing",
            "",
        ] {
            let steps: Vec<String> = path.split('.').map(str::to_owned).collect();
            assert_eq!(walked.find(&steps), filter::walk(&whole, &steps), "{path}");
        }
    }
}

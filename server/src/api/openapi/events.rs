//! The requests that Wheelhouse sends to webhooks: one for each type of event, with a sample.

use domain::Timestamp;
use domain::catalog::EventType;
use serde_json::{Value, json};
use store::webhooks::envelope;

/// The requests that Wheelhouse sends to webhooks: one for each type of event.
pub(super) fn webhooks() -> Value {
    let entries = EventType::ALL.into_iter().map(|event| {
        let (example, schema) = (sample(event), payload(event));
        let entry = json!({"post": {
            "operationId": operation_id(event),
            "tags": ["Webhooks"],
            "summary": event.label(),
            "description": "Sent to every enabled webhook whose event types and filters match. The headers `webhook-id`, \
                `webhook-timestamp` and `webhook-signature` follow Standard Webhooks.",
            "security": [],
            "requestBody": {"required": true, "content": {"application/json": {"schema": schema, "example": example}}},
            "responses": {
                "2XX": {"description": "The event was received. Any other status is retried."},
                "410": {"description": "The endpoint is gone: the webhook is disabled."},
            },
        }});
        (event.as_str().to_owned(), entry)
    });
    Value::Object(entries.collect())
}

/// `contact.tag_added` as `onContactTagAdded`.
fn operation_id(event: EventType) -> String {
    let words = event.as_str().split(['.', '_']);
    let capitalized = words.map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    format!("on{}", capitalized.collect::<String>())
}

fn sample(event: EventType) -> Value {
    let id = "evt_01h455vb4pex5vsknk084sn02q";
    let workspace = "ws_01h455vb4pex5vsknk084sn02q";
    let (Ok(id), Ok(workspace)) = (id.parse(), workspace.parse()) else {
        return Value::Null;
    };
    let text = envelope::sample(
        workspace,
        event,
        id,
        Timestamp::from_millis(1_767_225_600_000),
    );
    serde_json::from_str(&text).unwrap_or_default()
}

fn payload(event: EventType) -> Value {
    json!({
        "type": "object",
        "required": ["id", "type", "category", "mode", "workspace", "created_at", "actor", "data"],
        "properties": {
            "id": {"type": "string", "description": "ID of the event. The same for every attempt."},
            "type": {"type": "string", "const": event.as_str()},
            "category": {"type": "string", "const": event.category().as_str()},
            "mode": {"type": "string", "enum": ["live", "test"]},
            "workspace": {"type": ["string", "null"], "description": "ID of the workspace."},
            "created_at": {"type": "string", "format": "date-time"},
            "actor": {
                "type": "object",
                "required": ["kind", "id", "name"],
                "properties": {
                    "kind": {"type": "string", "enum": ["person", "key", "system"]},
                    "id": {"type": ["string", "null"]},
                    "name": {"type": "string"},
                },
            },
            "data": {"type": "object", "additionalProperties": true, "description": "Details of the event."},
        },
    })
}

//! The OpenAPI document. Each handler describes its own operation; what operations have in common is added here:
//! problems, limits and idempotency.

pub mod base;

use std::sync::LazyLock;

use domain::Timestamp;
use domain::catalog::EventType;
use serde_json::{Map, Value, json};
use store::webhooks::envelope;

use super::problem::KINDS;
use super::{idempotency, rate, samples};

/// The whole document.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(build);
    &DOCUMENT
}

fn build() -> Value {
    let (_, api) = crate::api::routes::resources().split_for_parts();
    let mut document = serde_json::to_value(api).expect("the document is JSON");
    let components = &mut document["components"];
    components["securitySchemes"] = json!({"key": {
        "type": "http", "scheme": "bearer",
        "description": "API key. Create one under Settings → API Keys.",
    }});
    components["headers"] = json!({
        "RateLimit-Policy": header("Rate limits: for each, the number of requests (`q`) in a window of seconds (`w`)."),
        "RateLimit": header("For each limit, the remaining requests (`r`) and the seconds until it resets (`t`)."),
        "Retry-After": header("Seconds to wait before the next request."),
        "Idempotency-Replayed": header("`true`: this is the response to the first request with this idempotency key."),
        "WWW-Authenticate": header("How to authenticate (RFC 6750)."),
    });
    let responses: Map<String, Value> =
        [400, 401, 402, 403, 404, 409, 413, 415, 422, 429, 500, 503]
            .into_iter()
            .map(|status| (format!("Problem{status}"), problem(status)))
            .collect();
    components["responses"] = Value::Object(responses);
    let paths = document["paths"].as_object_mut();
    for path in paths.into_iter().flat_map(Map::values_mut) {
        for (method, operation) in path.as_object_mut().into_iter().flatten() {
            complete(method, operation);
        }
    }
    name_lists(&mut document);
    drop_defaults(&mut document["components"]["schemas"]);
    add_examples(&mut document);
    document["webhooks"] = webhooks();
    document
}

/// The document of one installation: with its URL as the default server.
pub fn document_at(public_url: &str) -> Value {
    let mut document = document().clone();
    document["servers"][0]["variables"]["origin"]["default"] = public_url.into();
    document
}

/// Names each list after its items, as in `ContactList`, and lets its items refer to their schema.
fn name_lists(document: &mut Value) {
    let mut renamed = Vec::new();
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        let lists: Vec<String> = schemas
            .keys()
            .filter(|name| name.starts_with(LIST))
            .cloned()
            .collect();
        for old in lists {
            let Some(mut list) = schemas.remove(&old) else {
                continue;
            };
            let item = old.trim_start_matches(LIST).to_owned();
            let inline = std::mem::replace(
                &mut list["properties"]["data"]["items"],
                reference("schemas", &item),
            );
            schemas.entry(item.clone()).or_insert(inline);
            list["required"] = json!(["data", "next_cursor"]);
            let new = format!("{item}List");
            schemas.insert(new.clone(), list);
            renamed.push((reference("schemas", &old), reference("schemas", &new)));
        }
    }
    replace(document, &renamed);
}

/// What utoipa calls the schema of a list, before the name of its items.
const LIST: &str = "ListPage_";

fn replace(value: &mut Value, pairs: &[(Value, Value)]) {
    if let Some((_, new)) = pairs.iter().find(|(old, _)| old == value) {
        *value = new.clone();
        return;
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, pairs)),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, pairs)),
        _ => {}
    }
}

/// Client generators take a field with a default for one that is always there. What is left out is described instead.
fn drop_defaults(schemas: &mut Value) {
    for schema in schemas
        .as_object_mut()
        .into_iter()
        .flat_map(Map::values_mut)
    {
        let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
        for field in fields.into_iter().flat_map(Map::values_mut) {
            if let Some(field) = field.as_object_mut() {
                field.remove("default");
            }
        }
    }
}

/// One example for each body that is sent or returned, made from its schema.
fn add_examples(document: &mut Value) {
    let known = document.clone();
    let example = |media: &mut Value| {
        if media.get("example").is_none() && media.get("schema").is_some() {
            media["example"] = samples::of(&known, &media["schema"]);
        }
    };
    let each = |bodies: Option<&mut Map<String, Value>>| {
        bodies
            .into_iter()
            .flat_map(Map::values_mut)
            .for_each(example);
    };
    let paths = document["paths"].as_object_mut().into_iter();
    for path in paths.flat_map(Map::values_mut) {
        for operation in path.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(body) = operation.get_mut("requestBody") {
                each(body["content"].as_object_mut());
            }
            let responses = operation["responses"].as_object_mut();
            for response in responses.into_iter().flat_map(Map::values_mut) {
                if response.get("content").is_some() {
                    each(response["content"].as_object_mut());
                }
            }
        }
    }
}

/// The requests that Wheelhouse sends to webhooks: one for each type of event.
fn webhooks() -> Value {
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

fn header(description: &str) -> Value {
    json!({"description": description, "schema": {"type": "string"}})
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// The response for all problems of a status.
fn problem(status: u16) -> Value {
    let titles: Vec<String> = KINDS
        .iter()
        .filter(|kind| kind.status == status)
        .enumerate()
        .map(|(index, kind)| match index {
            0 => kind.title.to_owned(),
            _ => kind.title.to_lowercase(),
        })
        .collect();
    let mut headers = limits();
    match status {
        401 | 403 => headers.insert(
            "WWW-Authenticate".to_owned(),
            reference("headers", "WWW-Authenticate"),
        ),
        429 => headers.insert(
            "Retry-After".to_owned(),
            reference("headers", "Retry-After"),
        ),
        _ => None,
    };
    json!({
        "description": format!("{}.", titles.join(", or ")),
        "headers": headers,
        "content": {"application/problem+json": {"schema": reference("schemas", "Problem")}},
    })
}

fn limits() -> Map<String, Value> {
    [rate::POLICY_NAME, rate::LEFT_NAME]
        .into_iter()
        .map(|name| (name.to_owned(), reference("headers", name)))
        .collect()
}

/// Query parameters that you can repeat, and how many values they take at most.
const REPEATED: [(&str, Option<usize>); 3] = [
    ("tag", Some(domain::contacts::MAX_SEARCH_TAGS)),
    ("stage", None),
    ("scope", None),
];

/// Adds the responses and parameters that follow from the method and the inputs of an operation.
fn complete(method: &str, operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    let takes = |place: &str, operation: &Value| {
        let parameters = operation["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|one| one["in"] == place))
    };
    let (in_path, in_query) = (takes("path", operation), takes("query", operation));
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if let Some((_, most)) = REPEATED.iter().find(|(name, _)| parameter["name"] == *name) {
            let item = parameter["schema"].take();
            parameter["schema"] = json!({"type": "array", "items": item, "uniqueItems": true});
            if let Some(most) = most {
                parameter["schema"]["maxItems"] = (*most).into();
            }
            parameter["style"] = "form".into();
            parameter["explode"] = true.into();
        }
    }
    let is_post = method == "post";
    let costs = operation["responses"].get("402").is_some();
    // A POST without a body schema still validates a body that is sent.
    let reads_body = has_body || is_post;
    let successes = operation["responses"].as_object_mut();
    for success in successes.into_iter().flat_map(Map::values_mut) {
        let mut headers = limits();
        if is_post {
            headers.insert(
                "Idempotency-Replayed".to_owned(),
                reference("headers", "Idempotency-Replayed"),
            );
        }
        headers.extend(success["headers"].as_object().cloned().unwrap_or_default());
        success["headers"] = Value::Object(headers);
    }
    for (status, applies) in [
        (400, reads_body),
        (401, true),
        (402, costs),
        (403, true),
        (404, in_path),
        (409, is_post),
        (413, reads_body),
        (415, reads_body),
        (422, reads_body || in_query),
        (429, true),
        (500, true),
        (503, true),
    ] {
        if applies {
            operation["responses"][status.to_string()] =
                reference("responses", &format!("Problem{status}"));
        }
    }
    if is_post {
        let key = json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "A unique string for this request, for example a UUID. Retries with the same key return the original response.",
            "schema": {"type": "string", "minLength": 1, "maxLength": idempotency::MAX_LEN, "pattern": "^[!-~]+$"},
        });
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(key),
            None => operation["parameters"] = json!([key]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn operations() -> Vec<(String, String, Value)> {
        let paths = document()["paths"].as_object().unwrap();
        let of_path = |(path, item): (&String, &Value)| {
            let item = item.as_object().unwrap().clone();
            let path = path.clone();
            item.into_iter()
                .map(move |(method, operation)| (method, path.clone(), operation))
        };
        paths.iter().flat_map(of_path).collect()
    }

    #[test]
    fn nothing_in_it_is_null_but_examples_and_enums() {
        fn look(value: &Value, path: &str) {
            match value {
                Value::Null => panic!("{path} is null"),
                Value::Object(fields) => {
                    for (name, field) in fields {
                        if !["example", "examples", "enum"].contains(&name.as_str()) {
                            look(field, &format!("{path}/{name}"));
                        }
                    }
                }
                Value::Array(items) => items.iter().for_each(|item| look(item, path)),
                _ => {}
            }
        }
        look(document(), "");
    }

    #[test]
    fn it_is_openapi_3_1_and_every_operation_is_described() {
        assert!(document()["openapi"].as_str().unwrap().starts_with("3.1"));
        let mut ids = BTreeSet::new();
        for (method, path, operation) in operations() {
            let name = format!("{method} {path}");
            assert!(ids.insert(operation["operationId"].to_string()), "{name}");
            assert!(operation["summary"].is_string(), "{name}");
            assert!(operation["security"][0]["key"].is_array(), "{name}");
            for status in ["401", "403", "429", "500"] {
                assert!(
                    operation["responses"][status].is_object(),
                    "{name} {status}"
                );
            }
            assert_eq!(
                method == "post",
                operation["responses"]["409"].is_object(),
                "{name}"
            );
        }
        assert!(ids.len() >= 20);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(value: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                        let pointer = target.trim_start_matches('#');
                        assert!(document().pointer(pointer).is_some(), "{target}");
                    }
                    fields.values().for_each(check);
                }
                Value::Array(items) => items.iter().for_each(check),
                _ => {}
            }
        }
        check(document());
    }

    #[test]
    fn choices_are_written_as_they_are_sent() {
        let choices = |name: &str| document()["components"]["schemas"][name]["enum"].clone();
        assert_eq!(choices("Scope"), json!(domain::catalog::Scope::ALL));
        assert_eq!(choices("Mode"), json!(["live", "test"]));
        assert_eq!(choices("Stage"), json!(domain::contacts::Stage::ALL));
        assert_eq!(choices("EventType"), json!(EventType::ALL.as_slice()));
        let field = |name: &str, field: &str| {
            document()["components"]["schemas"][name]["properties"][field].clone()
        };
        assert_eq!(
            field("CreateWebhookRequest", "event_types")["items"],
            reference("schemas", "EventType")
        );
        assert_eq!(
            field("Webhook", "status")["enum"],
            json!(["enabled", "paused", "disabled"])
        );
        assert_eq!(
            field("UpdateWebhookRequest", "status")["enum"],
            json!(["enabled", "paused"]),
            "only the server disables"
        );
    }

    #[test]
    fn the_document_under_snapshot() {
        let mut lines = String::new();
        for (method, path, operation) in operations() {
            let scopes = operation["security"][0]["key"].as_array().unwrap();
            let scopes: Vec<&str> = scopes.iter().filter_map(Value::as_str).collect();
            let statuses: Vec<&String> =
                operation["responses"].as_object().unwrap().keys().collect();
            lines += &format!(
                "{method:<6} {path:<28} {:<15} {statuses:?}\n",
                scopes.join(" ")
            );
        }
        insta::assert_snapshot!("operations", lines);
    }
}

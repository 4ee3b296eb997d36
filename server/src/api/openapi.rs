//! The OpenAPI document. What an operation has of its own stands at its handler; what all have in common is added here,
//! once: problems, limits, idempotency.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::idempotency;
use super::problem::{KINDS, ProblemOut};
use super::rate;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Wheelhouse API",
        version = "1",
        description = "JSON over HTTPS. Send an API key with every request, as `Authorization: Bearer wh_live_…`. \
            A live key and a test key see worlds apart: what a test key makes, only test keys see, and it notifies nobody. \
            Webhooks alone belong to both.\n\n\
            Lists come a page at a time: send `next_cursor` of one page as `cursor` for the next.\n\n\
            Every POST takes an `Idempotency-Key` of your own making. Sent again within 24 hours, the same request is not \
            done again and gets the answer of the first, with `Idempotency-Replayed: true`.\n\n\
            Whatever goes wrong is answered as `application/problem+json` (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/api/v1")),
    components(schemas(ProblemOut)),
    tags(
        (name = "Contacts", description = "Whom you sell to."),
        (name = "Billing", description = "What the workspace's plan lets it do."),
        (name = "Credits", description = "What there is to spend, and spending it. A test key has credits of its own."),
        (name = "Events", description = "What happened in the product."),
        (name = "Members", description = "Who is in the workspace."),
        (name = "Webhooks", description = "Events sent to your own programs, as they happen. A workspace has one set of webhooks, \
            which live keys and test keys see and change alike."),
        (name = "Keys", description = "Which key is this, and may it do that?"),
    )
)]
pub struct Base;

/// The whole document.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(build);
    &DOCUMENT
}

fn build() -> Value {
    let (_, api) = super::resources().split_for_parts();
    let mut document = serde_json::to_value(api).expect("the document is JSON");
    let components = &mut document["components"];
    components["securitySchemes"] = json!({"key": {
        "type": "http", "scheme": "bearer",
        "description": "An API key, made under Settings → API Keys.",
    }});
    components["headers"] = json!({
        "RateLimit-Policy": header("The limits that hold: for each, how many requests (`q`) in how many seconds (`w`)."),
        "RateLimit": header("What is left of each limit (`r`), and in how many seconds all of it is back (`t`)."),
        "Retry-After": header("How many seconds to wait."),
        "Idempotency-Replayed": header("`true`: this is the answer of the first request with this key."),
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
    document
}

fn header(description: &str) -> Value {
    json!({"description": description, "schema": {"type": "string"}})
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// The answer for all problems of a status.
fn problem(status: u16) -> Value {
    let titles: Vec<&str> = KINDS
        .iter()
        .filter(|kind| kind.status == status)
        .map(|kind| kind.title)
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
        "description": format!("{}.", titles.join(", or: ")),
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

/// Adds to an operation what follows from its method and from what it takes.
fn complete(method: &str, operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    let takes = |place: &str, operation: &Value| {
        let parameters = operation["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|one| one["in"] == place))
    };
    let (in_path, in_query) = (takes("path", operation), takes("query", operation));
    let is_post = method == "post";
    let costs = operation["responses"].get("402").is_some();
    // Also where nothing need be said: what is sent all the same has to be in order.
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
            "description": "A text of your own making that stands for this request.",
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
        assert_eq!(choices("Scope"), json!(app::catalog::Scope::ALL));
        assert_eq!(choices("Mode"), json!(["live", "test"]));
        assert_eq!(choices("Stage"), json!(app::contacts::model::Stage::ALL));
        assert_eq!(
            choices("EventType"),
            json!(app::catalog::EventType::ALL.as_slice())
        );
        let field = |name: &str, field: &str| {
            document()["components"]["schemas"][name]["properties"][field].clone()
        };
        assert_eq!(
            field("WebhookIn", "event_types")["items"],
            reference("schemas", "EventType")
        );
        assert_eq!(
            field("WebhookOut", "status")["enum"],
            json!(["enabled", "paused", "disabled"])
        );
        assert_eq!(
            field("WebhookPatch", "status")["enum"],
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

//! The OpenAPI document. Each handler describes its own operation; what operations have in common is added here:
//! problems, limits and idempotency.

pub mod base;
mod components;
mod events;
mod operations;
pub mod refine;
mod schemas;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use self::components::{header, problem};
use self::events::webhooks;
use self::operations::complete;
use self::refine::refine;
use self::schemas::{add_examples, drop_defaults, name_lists};

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
    refine(&mut document);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::catalog::EventType;

    use super::components::reference;
    use super::*;

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
            assert!(operation["description"].is_string(), "{name}");
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
            let scopes = operation[refine::SCOPES].as_array().unwrap();
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

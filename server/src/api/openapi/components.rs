//! The parts that operations refer to: headers, and the responses for problems.

use serde_json::{Map, Value, json};

use crate::api::problem::KINDS;
use crate::api::rate;

pub(super) fn header(description: &str) -> Value {
    json!({"description": description, "schema": {"type": "string"}})
}

pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// The response for all problems of a status.
pub(super) fn problem(status: u16) -> Value {
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

pub(super) fn limits() -> Map<String, Value> {
    [rate::POLICY_NAME, rate::LEFT_NAME]
        .into_iter()
        .map(|name| (name.to_owned(), reference("headers", name)))
        .collect()
}

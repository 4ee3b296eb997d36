//! What the document adds to each operation: the responses and parameters that follow from its method and its inputs.

use serde_json::{Map, Value, json};

use super::components::{limits, reference};
use crate::api::idempotency;

/// Query parameters that you can repeat, and how many values they take at most.
const REPEATED: [(&str, Option<usize>); 3] = [
    ("tag", Some(domain::contacts::MAX_SEARCH_TAGS)),
    ("stage", None),
    ("scope", None),
];

/// Adds the responses and parameters that follow from the method and the inputs of an operation.
pub(super) fn complete(method: &str, operation: &mut Value) {
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

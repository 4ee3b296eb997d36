//! Examples made from schemas.

use serde_json::{Map, Value, json};

/// The schema behind a reference, or the schema itself; of a nullable one, the non-null schema.
pub fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = other_than_null(schema).unwrap_or(schema);
    let target = schema["$ref"].as_str();
    target
        .and_then(|target| document.pointer(target.trim_start_matches('#')))
        .unwrap_or(schema)
}

/// The non-null option of a nullable schema.
pub fn other_than_null(schema: &Value) -> Option<&Value> {
    match schema["oneOf"].as_array()?.as_slice() {
        [other, null] | [null, other] if null["type"] == "null" => Some(other),
        _ => None,
    }
}

/// A value that the schema allows: its own example, or one built from the examples of its fields.
pub fn of(document: &Value, schema: &Value) -> Value {
    let schema = resolve(document, schema);
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if let Some(example) = schema["examples"].get(0) {
        return example.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    for choice in ["oneOf", "anyOf"] {
        let options = schema[choice].as_array().into_iter().flatten();
        if let Some(option) = options.into_iter().find(|option| option["type"] != "null") {
            return of(document, option);
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null"),
        kind => Some(kind),
    };
    match kind.and_then(Value::as_str) {
        Some("object") => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            let fields = fields.map(|(name, field)| (name.clone(), of(document, field)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Some("array") => json!([of(document, &schema["items"])]),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        _ => text(schema["format"].as_str()),
    }
}

fn text(format: Option<&str>) -> Value {
    match format {
        Some("date-time") => json!("2026-01-31T09:30:00Z"),
        Some("uri") => json!("https://example.com/webhooks"),
        _ => json!("…"),
    }
}

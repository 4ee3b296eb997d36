//! How a value of an event is compared with the value that a filter wants.

use serde_json::Value;

use super::values::{is_scalar, number, text, word};

#[derive(Clone, Debug)]
pub(super) struct ComparisonValue {
    text: String,
    number: Option<f64>,
    is_text: bool,
}

impl ComparisonValue {
    pub(super) fn of(value: &Value) -> Option<Self> {
        is_scalar(value).then(|| Self {
            text: text(value),
            number: number(value),
            is_text: value.is_string(),
        })
    }
}

/// The same scalar, or the same text: a form only sends strings.
pub(super) fn equal(found: &Value, wanted: &ComparisonValue) -> bool {
    match found {
        Value::String(text) => *text == wanted.text,
        Value::Number(number) => wanted.number.is_some() && number.as_f64() == wanted.number,
        Value::Bool(flag) => wanted.text == word(*flag),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Whether a string contains another, a list contains a scalar, or an object has a field of this name.
pub(super) fn contains(found: &Value, wanted: &ComparisonValue) -> bool {
    match found {
        Value::Array(items) => items.iter().any(|item| equal(item, wanted)),
        Value::Object(fields) => fields.contains_key(&wanted.text),
        Value::String(text) => text.contains(&wanted.text),
        Value::Number(number) => number.to_string().contains(&wanted.text),
        Value::Bool(flag) => word(*flag).contains(&wanted.text),
        Value::Null => false,
    }
}

pub(super) fn starts_with(found: &Value, wanted: &ComparisonValue) -> bool {
    match found {
        Value::String(text) => text.starts_with(&wanted.text),
        Value::Number(number) => number.to_string().starts_with(&wanted.text),
        Value::Bool(flag) => word(*flag).starts_with(&wanted.text),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Numbers by value; two strings that are not numbers alphabetically, which also orders timestamps (RFC 3339).
pub(super) fn compare(found: &Value, wanted: &ComparisonValue) -> Option<std::cmp::Ordering> {
    match (number(found), wanted.number, found) {
        (Some(a), Some(b), _) => a.partial_cmp(&b),
        (None, None, Value::String(text)) if wanted.is_text => {
            Some(text.as_str().cmp(&wanted.text))
        }
        _ => None,
    }
}

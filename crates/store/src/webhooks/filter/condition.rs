//! A filter as its author writes it, and the check that it makes sense.

use domain::webhooks::Operator;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

use super::values::{is_scalar, text};
use crate::events::report::holds_nul;

/// The maximum number of filters of a webhook.
pub const MAX_FILTERS: usize = 20;
const MAX_PATH_LEN: usize = 200;
const MAX_VALUE_LEN: usize = 1000;

/// A condition on an event's envelope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Path into the envelope: names for objects, numbers for lists. For example `data.stage` or `data.tags.0`.
    #[schema(min_length = 1, max_length = 200, example = "data.stage")]
    pub path: String,
    #[schema(inline)]
    pub operator: Operator,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = comparable, required = false)]
    pub value: Option<Value>,
}

/// The schema of a value.
fn comparable() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![
            Type::String,
            Type::Number,
            Type::Boolean,
            Type::Array,
        ]))
        .examples(["won"])
        .description(Some(
            "Value to compare: a string, a number, `true` or `false`; for `in`, also a list of these. Not needed for `exists`.",
        ))
        .build()
}

impl Filter {
    /// Validates the filter and says what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if self.path.is_empty() || self.path.split('.').any(str::is_empty) {
            return Err("Enter a path like data.stage".to_owned());
        }
        if self.path.chars().count() > MAX_PATH_LEN {
            return Err(format!("Enter a path of up to {MAX_PATH_LEN} characters"));
        }
        // PostgreSQL cannot store this character in JSON.
        if self.path.contains('\0') || self.value.as_ref().is_some_and(holds_nul) {
            return Err("Remove the character U+0000".to_owned());
        }
        let size = self.value.as_ref().map_or(0, |value| text(value).len());
        if size > MAX_VALUE_LEN {
            return Err(format!("Enter a value of up to {MAX_VALUE_LEN} characters"));
        }
        match (self.operator, &self.value) {
            (Operator::Exists, None | Some(Value::Bool(_))) => Ok(()),
            (Operator::Exists, Some(_)) => {
                Err("Leave the value of “exists” blank, or use true or false".to_owned())
            }
            (_, None | Some(Value::Null)) => Err("Enter a value to compare".to_owned()),
            (Operator::In, Some(Value::Array(list))) if list.is_empty() => {
                Err("Enter at least one value".to_owned())
            }
            (Operator::In, Some(Value::Array(list))) if list.iter().all(is_scalar) => Ok(()),
            (Operator::In, Some(Value::Array(_) | Value::Object(_))) => Err(
                "Use a string, a number, true or false, or a list of these, not nested".to_owned(),
            ),
            (_, Some(Value::Array(_) | Value::Object(_))) => {
                Err("Use a string, a number, true or false. Only “in” takes a list.".to_owned())
            }
            _ => Ok(()),
        }
    }
}

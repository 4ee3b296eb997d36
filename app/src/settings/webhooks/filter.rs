//! Filters: which events of its types a webhook wants. All of them must hold. A filter that does not hold says why, so
//! that a dry run can explain itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

use super::model::Operator;
use crate::events::report::holds_nul;

/// How many filters a webhook has at most.
pub const MOST_FILTERS: usize = 20;
const LONGEST_PATH: usize = 200;
const LONGEST_VALUE: usize = 1000;
/// How much of a value an explanation shows.
const SHOWN: usize = 60;

/// One condition on the envelope of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Walks the envelope by names, and by numbers through lists: `data.stage`, `data.tags.0`.
    #[schema(min_length = 1, max_length = 200, example = "data.stage")]
    pub path: String,
    #[schema(inline)]
    pub operator: Operator,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = comparable, required = false)]
    pub value: Option<Value>,
}

/// What a value can be, for the documentation.
fn comparable() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![
            Type::String,
            Type::Number,
            Type::Boolean,
            Type::Array,
        ]))
        .examples(["won"])
        .description(Some("What to compare with. `exists` does without."))
        .build()
}

impl Filter {
    /// Whether it makes sense at all; if not, what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if self.path.is_empty() || self.path.split('.').any(str::is_empty) {
            return Err("A filter's path is like data.stage".to_owned());
        }
        if self.path.chars().count() > LONGEST_PATH {
            return Err(format!("A path has at most {LONGEST_PATH} characters"));
        }
        // PostgreSQL keeps no such character in JSON.
        if self.path.contains('\0') || self.value.as_ref().is_some_and(holds_nul) {
            return Err("A filter must not hold the character U+0000".to_owned());
        }
        let size = self.value.as_ref().map_or(0, |value| text(value).len());
        if size > LONGEST_VALUE {
            return Err(format!(
                "A filter's value has at most {LONGEST_VALUE} characters"
            ));
        }
        match (self.operator, &self.value) {
            (Operator::Exists, None | Some(Value::Bool(_))) => Ok(()),
            (Operator::Exists, Some(_)) => {
                Err("exists takes no value, or true or false".to_owned())
            }
            (_, None | Some(Value::Null)) => {
                Err(format!("{} needs a value to compare with", self.operator))
            }
            (_, Some(Value::Object(_))) => {
                Err("A filter's value is a text, a number, true, false or a list".to_owned())
            }
            (Operator::In, Some(Value::Array(list))) if list.is_empty() => {
                Err("in needs at least one value".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether the event passes; if not, why. What is not there equals and contains nothing, so that `not_equals` and
    /// `not_contains` hold for it.
    pub fn verdict(&self, envelope: &Value) -> Result<(), String> {
        let wanted = self.value.as_ref().unwrap_or(&Value::Null);
        let path = &self.path;
        let found = walk(envelope, path);
        if self.operator == Operator::Exists {
            let want = wanted.as_bool().unwrap_or(true);
            return match (found.is_some(), want) {
                (true, true) | (false, false) => Ok(()),
                (true, false) => Err(format!("{path} is there")),
                (false, true) => Err(format!("{path} is not there")),
            };
        }
        let Some(found) = found else {
            return match self.operator {
                Operator::NotEquals | Operator::NotContains => Ok(()),
                _ => Err(format!("{path} is not there")),
            };
        };
        let (is, want) = (show(found), show(wanted));
        let (holds, why) = match self.operator {
            Operator::Equals => (equal(found, wanted), format!("{path} is {is}, not {want}")),
            Operator::NotEquals => (!equal(found, wanted), format!("{path} is {is}")),
            Operator::Contains => (
                contains(found, wanted),
                format!("{path} is {is} and does not contain {want}"),
            ),
            Operator::NotContains => (
                !contains(found, wanted),
                format!("{path} is {is} and contains {want}"),
            ),
            Operator::StartsWith => (
                text(found).starts_with(&text(wanted)),
                format!("{path} is {is} and does not start with {want}"),
            ),
            Operator::GreaterThan => (
                compare(found, wanted).is_some_and(std::cmp::Ordering::is_gt),
                format!("{path} is {is}, which is not greater than {want}"),
            ),
            Operator::LessThan => (
                compare(found, wanted).is_some_and(std::cmp::Ordering::is_lt),
                format!("{path} is {is}, which is not less than {want}"),
            ),
            Operator::In => (
                one_of(found, wanted),
                format!("{path} is {is}, which is not in {want}"),
            ),
            Operator::Exists => (true, String::new()),
        };
        if holds { Ok(()) } else { Err(why) }
    }
}

/// Whether every filter holds; if not, why the first does not.
pub fn verdict(filters: &[Filter], envelope: &Value) -> Result<(), String> {
    filters
        .iter()
        .try_for_each(|filter| filter.verdict(envelope))
}

fn walk<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(value, |value, step| match value {
            Value::Object(fields) => fields.get(step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
        .filter(|found| !found.is_null())
}

/// A value as it is compared: a text without its quotation marks.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn show(value: &Value) -> String {
    let text = text(value);
    if text.chars().count() > SHOWN {
        let start: String = text.chars().take(SHOWN).collect();
        format!("“{start}…”")
    } else {
        format!("“{text}”")
    }
}

/// The same value, or the same written down: a form knows only texts.
fn equal(found: &Value, wanted: &Value) -> bool {
    found == wanted
        || (!found.is_array()
            && !found.is_object()
            && (text(found) == text(wanted)
                || (found.is_number() && number(found) == number(wanted))))
}

fn contains(found: &Value, wanted: &Value) -> bool {
    match found {
        Value::Array(items) => items.iter().any(|item| equal(item, wanted)),
        Value::Object(fields) => fields.contains_key(&text(wanted)),
        other => text(other).contains(&text(wanted)),
    }
}

/// A list, or a text with commas as a form sends it.
fn one_of(found: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Array(list) => list.iter().any(|item| equal(found, item)),
        other => text(other)
            .split(',')
            .any(|item| equal(found, &Value::String(item.trim().to_owned()))),
    }
}

/// Numbers by size; two texts that are no numbers by the alphabet, which also puts moments (RFC 3339) in order.
fn compare(found: &Value, wanted: &Value) -> Option<std::cmp::Ordering> {
    match (number(found), number(wanted)) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        (None, None) if found.is_string() && wanted.is_string() => {
            Some(text(found).cmp(&text(wanted)))
        }
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn filter(path: &str, operator: Operator, value: Value) -> Filter {
        Filter {
            path: path.to_owned(),
            operator,
            value: Some(value),
        }
    }

    fn won() -> Value {
        json!({"type": "contact.stage_changed", "data": {
            "name": "Kavya Rao", "stage": "won", "score": 42, "tags": ["vip", "demo"], "gone": null, "at": "2026-11-23T12:00:00Z"
        }})
    }

    #[test]
    fn each_operator_holds_and_says_why_not() {
        use Operator as O;
        let cases = [
            ("data.stage", O::Equals, json!("won"), ""),
            (
                "data.stage",
                O::Equals,
                json!("lead"),
                "data.stage is “won”, not “lead”",
            ),
            ("data.score", O::Equals, json!("42"), ""),
            ("data.score", O::Equals, json!(42.0), ""),
            ("data.stage", O::NotEquals, json!("lead"), ""),
            (
                "data.stage",
                O::NotEquals,
                json!("won"),
                "data.stage is “won”",
            ),
            ("data.nowhere", O::NotEquals, json!("won"), ""),
            ("data.tags", O::Contains, json!("vip"), ""),
            ("data.name", O::Contains, json!("Rao"), ""),
            (
                "data.name",
                O::Contains,
                json!("Kim"),
                "data.name is “Kavya Rao” and does not contain “Kim”",
            ),
            ("data.tags", O::NotContains, json!("lost"), ""),
            ("type", O::StartsWith, json!("contact."), ""),
            (
                "type",
                O::StartsWith,
                json!("credits."),
                "type is “contact.stage_changed” and does not start with “credits.”",
            ),
            ("data.score", O::GreaterThan, json!(41), ""),
            ("data.score", O::GreaterThan, json!("9"), ""),
            (
                "data.score",
                O::LessThan,
                json!(42),
                "data.score is “42”, which is not less than “42”",
            ),
            ("data.at", O::GreaterThan, json!("2026-01-01T00:00:00Z"), ""),
            (
                "data.name",
                O::GreaterThan,
                json!(3),
                "data.name is “Kavya Rao”, which is not greater than “3”",
            ),
            ("data.stage", O::In, json!(["won", "lost"]), ""),
            ("data.stage", O::In, json!("lost, won"), ""),
            (
                "data.stage",
                O::In,
                json!(["lead"]),
                "data.stage is “won”, which is not in “[\"lead\"]”",
            ),
            ("data.tags.1", O::Equals, json!("demo"), ""),
            ("data.gone", O::Exists, json!(false), ""),
            ("data.stage", O::Exists, json!(true), ""),
            ("data.stage", O::Exists, json!(false), "data.stage is there"),
            (
                "data.email",
                O::Exists,
                json!(true),
                "data.email is not there",
            ),
            (
                "data.email",
                O::Equals,
                json!("x"),
                "data.email is not there",
            ),
        ];
        for (path, operator, value, why) in cases {
            let filter = filter(path, operator, value);
            let verdict = filter.verdict(&won()).err().unwrap_or_default();
            assert_eq!(verdict, why, "{filter:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            filter("", Operator::Equals, json!("x")),
            filter("data..x", Operator::Equals, json!("x")),
            filter("data.\0", Operator::Equals, json!("x")),
            filter("data.x", Operator::In, json!(["x", "\0"])),
            filter("data.x", Operator::Equals, json!({})),
            filter("data.x", Operator::Exists, json!("yes")),
            filter("data.x", Operator::In, json!([])),
            Filter {
                path: "data.x".into(),
                operator: Operator::Equals,
                value: None,
            },
            filter("data.x", Operator::Equals, json!("x".repeat(2000))),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
        let exists = Filter {
            path: "data.x".into(),
            operator: Operator::Exists,
            value: None,
        };
        assert_eq!(exists.check(), Ok(()));
    }

    fn operator() -> impl Strategy<Value = Operator> {
        (0..Operator::ALL.len()).prop_map(|index| Operator::ALL[index])
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            prop::collection::vec(".{0,4}", 0..3).prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn an_operator_and_its_opposite_never_agree(found in value(), wanted in value()) {
            let event = json!({"data": {"x": found}});
            for (yes, no) in [(Operator::Equals, Operator::NotEquals), (Operator::Contains, Operator::NotContains)] {
                let holds = |operator| filter("data.x", operator, wanted.clone()).verdict(&event).is_ok();
                prop_assert_ne!(holds(yes), holds(no));
            }
        }

        #[test]
        fn nothing_panics_and_a_refusal_names_the_path(path in "[a-z0-9.]{0,12}", operator in operator(), found in value(), wanted in value()) {
            let filter = filter(&path, operator, wanted);
            let _ = filter.check();
            if let Err(why) = filter.verdict(&json!({"data": {"x": found}})) {
                prop_assert!(why.starts_with(&path));
            }
        }

        #[test]
        fn a_filter_travels_as_json(path in "[a-z]{1,8}", operator in operator(), wanted in value()) {
            let filter = filter(&path, operator, wanted);
            let json = serde_json::to_string(&filter).unwrap();
            prop_assert_eq!(serde_json::from_str::<Filter>(&json).unwrap(), filter);
        }
    }
}

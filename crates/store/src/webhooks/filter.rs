//! Filters: which events of its types a webhook receives. All filters must match.
//!
//! Customers write filters, and every event passes them, so a filter must cost no more than reading the value once.
//! Values are compared in place, and only scalars are: strings, numbers, `true` and `false`. `contains` is the only
//! operator that scans a long value, a string or a list, once from end to end. The reason why a filter does not match is
//! only worked out for a dry run.

use domain::webhooks::Operator;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

use crate::events::report::holds_nul;

/// The maximum number of filters of a webhook.
pub const MAX_FILTERS: usize = 20;
const MAX_PATH_LEN: usize = 200;
const MAX_VALUE_LEN: usize = 1000;
/// A longer string is not parsed as a number.
const MAX_NUMBER_LEN: usize = 100;
/// How much of a value an explanation shows, in characters, and how much of it is serialized for that, in bytes.
const SHOWN: usize = 60;
const WRITTEN: usize = 4 * SHOWN + 4;

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

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

/// A filter parsed once for many events.
#[derive(Clone, Debug)]
pub struct PreparedFilter {
    filter: Filter,
    steps: Vec<String>,
    /// The values to compare: one, or each of a list. A stored value that is not a scalar is left out.
    wanted: Vec<ComparisonValue>,
}

#[derive(Clone, Debug)]
struct ComparisonValue {
    text: String,
    number: Option<f64>,
    is_text: bool,
}

impl ComparisonValue {
    fn of(value: &Value) -> Option<Self> {
        is_scalar(value).then(|| Self {
            text: text(value),
            number: number(value),
            is_text: value.is_string(),
        })
    }
}

impl From<Filter> for PreparedFilter {
    fn from(filter: Filter) -> Self {
        let wanted = match (filter.operator, &filter.value) {
            (Operator::In, Some(Value::Array(list))) => {
                list.iter().filter_map(ComparisonValue::of).collect()
            }
            // A form sends a string with commas.
            (Operator::In, Some(Value::String(list))) => list
                .split(',')
                .filter_map(|item| ComparisonValue::of(&Value::from(item.trim())))
                .collect(),
            (_, value) => value.iter().filter_map(ComparisonValue::of).collect(),
        };
        Self {
            steps: filter.path.split('.').map(str::to_owned).collect(),
            wanted,
            filter,
        }
    }
}

impl PreparedFilter {
    /// The names and numbers that lead to the value.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// Whether the filter matches the value at its path. A missing value equals and contains nothing, so `not_equals`
    /// and `not_contains` match it.
    pub fn holds(&self, found: Option<&Value>) -> bool {
        let any = |is: &dyn Fn(&Value, &ComparisonValue) -> bool| {
            found.is_some_and(|found| self.wanted.iter().any(|wanted| is(found, wanted)))
        };
        match self.filter.operator {
            Operator::Exists => {
                let wanted = self.filter.value.as_ref().and_then(Value::as_bool);
                found.is_some() == wanted.unwrap_or(true)
            }
            Operator::Equals | Operator::In => any(&equal),
            Operator::NotEquals => !any(&equal),
            Operator::Contains => any(&contains),
            Operator::NotContains => !any(&contains),
            Operator::StartsWith => any(&starts_with),
            Operator::GreaterThan => {
                any(&|found, wanted| compare(found, wanted).is_some_and(std::cmp::Ordering::is_gt))
            }
            Operator::LessThan => {
                any(&|found, wanted| compare(found, wanted).is_some_and(std::cmp::Ordering::is_lt))
            }
        }
    }

    /// Why the filter does not match the value at its path; `None` if it does.
    pub fn explain(&self, found: Option<&Value>) -> Option<String> {
        if self.holds(found) {
            return None;
        }
        let path = &self.filter.path;
        let Some(found) = found else {
            return Some(format!("{path} is missing"));
        };
        let (is, want) = (
            show(found),
            self.filter.value.as_ref().map(show).unwrap_or_default(),
        );
        Some(match self.filter.operator {
            Operator::Exists => format!("{path} is present"),
            Operator::Equals => format!("{path} is {is}, not {want}"),
            Operator::NotEquals => format!("{path} is {is}"),
            Operator::Contains => format!("{path} is {is} and does not contain {want}"),
            Operator::NotContains => format!("{path} is {is} and contains {want}"),
            Operator::StartsWith => format!("{path} is {is} and does not start with {want}"),
            Operator::GreaterThan => format!("{path} is {is}, which is not greater than {want}"),
            Operator::LessThan => format!("{path} is {is}, which is not less than {want}"),
            Operator::In => format!("{path} is {is}, which is not one of {want}"),
        })
    }
}

/// Follows names through objects and numbers through lists. Null counts as missing.
pub fn walk<'a>(value: &'a Value, steps: &[String]) -> Option<&'a Value> {
    steps
        .iter()
        .try_fold(value, |value, step| match value {
            Value::Object(fields) => fields.get(step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
        .filter(|found| !found.is_null())
}

/// A value as it is compared: a string without quotation marks.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

const fn word(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// The beginning of a value. No more of a long value is serialized.
fn show(value: &Value) -> String {
    let written = match value {
        Value::String(text) => text.chars().take(SHOWN + 1).collect(),
        other => {
            let mut start = Start(Vec::new());
            // It ends with an error when enough was written.
            let _ = serde_json::to_writer(&mut start, other);
            String::from_utf8_lossy(&start.0).into_owned()
        }
    };
    if written.chars().count() > SHOWN {
        let start: String = written.chars().take(SHOWN).collect();
        format!("“{start}…”")
    } else {
        format!("“{written}”")
    }
}

/// Accepts the first bytes that are written, then refuses.
struct Start(Vec<u8>);

impl std::io::Write for Start {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = WRITTEN.saturating_sub(self.0.len());
        if room == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        let taken = bytes.len().min(room);
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The same scalar, or the same text: a form only sends strings.
fn equal(found: &Value, wanted: &ComparisonValue) -> bool {
    match found {
        Value::String(text) => *text == wanted.text,
        Value::Number(number) => wanted.number.is_some() && number.as_f64() == wanted.number,
        Value::Bool(flag) => wanted.text == word(*flag),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Whether a string contains another, a list contains a scalar, or an object has a field of this name.
fn contains(found: &Value, wanted: &ComparisonValue) -> bool {
    match found {
        Value::Array(items) => items.iter().any(|item| equal(item, wanted)),
        Value::Object(fields) => fields.contains_key(&wanted.text),
        Value::String(text) => text.contains(&wanted.text),
        Value::Number(number) => number.to_string().contains(&wanted.text),
        Value::Bool(flag) => word(*flag).contains(&wanted.text),
        Value::Null => false,
    }
}

fn starts_with(found: &Value, wanted: &ComparisonValue) -> bool {
    match found {
        Value::String(text) => text.starts_with(&wanted.text),
        Value::Number(number) => number.to_string().starts_with(&wanted.text),
        Value::Bool(flag) => word(*flag).starts_with(&wanted.text),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Numbers by value; two strings that are not numbers alphabetically, which also orders timestamps (RFC 3339).
fn compare(found: &Value, wanted: &ComparisonValue) -> Option<std::cmp::Ordering> {
    match (number(found), wanted.number, found) {
        (Some(a), Some(b), _) => a.partial_cmp(&b),
        (None, None, Value::String(text)) if wanted.is_text => {
            Some(text.as_str().cmp(&wanted.text))
        }
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Number::as_f64(number),
        Value::String(text) if text.len() <= MAX_NUMBER_LEN => {
            text.trim().parse().ok().filter(|n: &f64| n.is_finite())
        }
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

    impl Filter {
        fn verdict(&self, envelope: &Value) -> Result<(), String> {
            let prepared = PreparedFilter::from(self.clone());
            let found = walk(envelope, prepared.steps());
            let why = prepared.explain(found);
            assert_eq!(why.is_none(), prepared.holds(found));
            why.map_or(Ok(()), Err)
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
                "data.stage is “won”, which is not one of “[\"lead\"]”",
            ),
            ("data.tags.1", O::Equals, json!("demo"), ""),
            ("data.gone", O::Exists, json!(false), ""),
            ("data.stage", O::Exists, json!(true), ""),
            (
                "data.stage",
                O::Exists,
                json!(false),
                "data.stage is present",
            ),
            (
                "data.email",
                O::Exists,
                json!(true),
                "data.email is missing",
            ),
            ("data.email", O::Equals, json!("x"), "data.email is missing"),
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
            filter("data.x", Operator::Equals, json!(["x"])),
            filter("data.x", Operator::Contains, json!(["x"])),
            filter("data.x", Operator::In, json!({"a": "b"})),
            filter("data.x", Operator::In, json!(["x", ["y"]])),
            filter("data.x", Operator::In, json!([{"a": "b"}])),
            filter("data.x", Operator::In, json!([null])),
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

    #[test]
    fn what_is_no_scalar_equals_nothing_and_is_never_written_down_whole() {
        let large: Vec<u32> = (0..20_000).collect();
        let event = json!({"data": {"large": {"list": large}, "deep": [[1], {"a": 1}, "b", 2]}});
        for operator in [
            Operator::Equals,
            Operator::StartsWith,
            Operator::GreaterThan,
            Operator::LessThan,
            Operator::In,
        ] {
            for path in ["data.large", "data.large.list", "data.deep"] {
                let why = filter(path, operator, json!("[1"))
                    .verdict(&event)
                    .unwrap_err();
                assert!(why.len() < 400, "{why}");
            }
        }
        assert!(
            filter("data.large", Operator::NotEquals, json!("x"))
                .verdict(&event)
                .is_ok()
        );
        for (wanted, holds) in [("b", true), ("2", true), ("1", false), ("[1]", false)] {
            let contains = filter("data.deep", Operator::Contains, json!(wanted));
            assert_eq!(contains.verdict(&event).is_ok(), holds, "{wanted}");
        }
        assert!(
            filter("data.large", Operator::Contains, json!("list"))
                .verdict(&event)
                .is_ok()
        );
        let digits = json!({"data": {"x": "1".repeat(60_000)}});
        assert!(
            filter("data.x", Operator::GreaterThan, json!(3))
                .verdict(&digits)
                .is_err()
        );
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

//! Filters: which events of its types a webhook receives. All filters must match.
//!
//! Customers write filters, and every event passes them, so a filter must cost no more than reading the value once.
//! Values are compared in place, and only scalars are: strings, numbers, `true` and `false`. `contains` is the only
//! operator that scans a long value, a string or a list, once from end to end. The reason why a filter does not match is
//! only worked out for a dry run.

mod comparison;
mod condition;
mod prepared;
mod values;

pub use condition::{Filter, MAX_FILTERS};
pub use prepared::{PreparedFilter, walk};

#[cfg(test)]
mod tests {
    use domain::webhooks::Operator;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

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

//! Filters that are parsed once for many events, and the explanation why one does not match.

use domain::webhooks::Operator;
use serde_json::Value;

use super::comparison::{ComparisonValue, compare, contains, equal, starts_with};
use super::condition::Filter;
use super::values::show;

/// A filter parsed once for many events.
#[derive(Clone, Debug)]
pub struct PreparedFilter {
    filter: Filter,
    steps: Vec<String>,
    /// The values to compare: one, or each of a list. A stored value that is not a scalar is left out.
    wanted: Vec<ComparisonValue>,
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

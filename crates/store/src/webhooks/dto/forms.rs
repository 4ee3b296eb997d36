//! The form of a webhook on its page, as a request to the public API and back.

use domain::webhooks::{FilterForm, Operator, WebhookForm};
use serde_json::Value;

use super::schemas::{CreateWebhookRequest, UpdateWebhookRequest};
use crate::webhooks::filter::Filter;

impl From<&WebhookForm> for UpdateWebhookRequest {
    fn from(form: &WebhookForm) -> Self {
        let headers = form
            .headers
            .iter()
            .filter(|header| !header.name.trim().is_empty())
            .map(|header| {
                let value = Some(header.value.clone()).filter(|value| !value.is_empty());
                (header.name.trim().to_owned(), value)
            });
        Self {
            url: Some(form.url.clone()),
            description: Some(form.description.clone()),
            event_types: Some(form.event_types.clone()),
            filters: Some(form.filters.iter().filter_map(filter_of).collect()),
            include_test_events: Some(!form.include_test_events.is_empty()),
            headers: Some(headers.collect()),
            status: None,
        }
    }
}

impl From<&WebhookForm> for CreateWebhookRequest {
    fn from(form: &WebhookForm) -> Self {
        let patch = UpdateWebhookRequest::from(form);
        Self {
            url: form.url.clone(),
            description: patch.description,
            event_types: form.event_types.clone(),
            filters: patch.filters.unwrap_or_default(),
            include_test_events: patch.include_test_events.unwrap_or_default(),
            headers: patch
                .headers
                .unwrap_or_default()
                .into_iter()
                .map(|(name, value)| (name, value.unwrap_or_default()))
                .collect(),
        }
    }
}

/// A row of the form. A row without a path is ignored.
fn filter_of(row: &FilterForm) -> Option<Filter> {
    let path = row.path.trim();
    let operator: Operator = row.operator.parse().unwrap_or(Operator::Equals);
    let value = row.value.trim();
    let value = match operator {
        Operator::Exists if value.is_empty() => None,
        Operator::Exists if value == "true" || value == "false" => {
            Some(Value::Bool(value == "true"))
        }
        _ if value.is_empty() => None,
        _ => Some(Value::String(value.to_owned())),
    };
    (!path.is_empty()).then(|| Filter {
        path: path.to_owned(),
        operator,
        value,
    })
}

/// The row of the form for a filter.
pub fn filter_row(filter: &Filter) -> FilterForm {
    let value = match &filter.value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => list
            .iter()
            .map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            })
            .collect::<Vec<_>>()
            .join(", "),
        Some(other) => other.to_string(),
    };
    FilterForm {
        path: filter.path.clone(),
        operator: filter.operator.to_string(),
        value,
    }
}

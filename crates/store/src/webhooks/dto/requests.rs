//! How the fields of a new or changed webhook are validated.

use domain::catalog::EventType;
use domain::webhooks::{Header, MAX_DESCRIPTION_LEN, MAX_HEADERS};
use domain::{FieldErrors, Secret};

use super::schemas::CreateWebhookRequest;
use crate::webhooks::address::{Policy, parse_url};
use crate::webhooks::filter::{Filter, MAX_FILTERS};

const MAX_HEADER_VALUE_LEN: usize = 1000;

/// A valid new webhook.
#[derive(Clone, Debug)]
pub struct WebhookDraft {
    pub url: String,
    pub description: String,
    pub event_types: Vec<EventType>,
    pub filters: Vec<Filter>,
    pub include_test_events: bool,
    pub headers: Vec<Header>,
}

impl CreateWebhookRequest {
    pub fn parse(&self, policy: &Policy) -> Result<WebhookDraft, FieldErrors> {
        let mut errors = FieldErrors::new();
        let url = errors.check("url", parse_url(&self.url, policy));
        let description = errors.check(
            "description",
            parse_description(self.description.as_deref().unwrap_or_default()),
        );
        let event_types = errors.check("event_types", parse_types(&self.event_types));
        let filters = errors.check("filters", parse_filters(&self.filters));
        let headers = errors.check(
            "headers",
            parse_headers(
                self.headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), Some(value))),
                &[],
            ),
        );
        match (url, description, event_types, filters, headers) {
            (Some(url), Some(description), Some(event_types), Some(filters), Some(headers)) => {
                Ok(WebhookDraft {
                    url,
                    description,
                    event_types,
                    filters,
                    include_test_events: self.include_test_events,
                    headers,
                })
            }
            _ => Err(errors),
        }
    }
}

pub fn parse_description(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > MAX_DESCRIPTION_LEN {
        return Err(format!(
            "Enter a description of up to {MAX_DESCRIPTION_LEN} characters"
        ));
    }
    if text.chars().any(char::is_control) {
        return Err("Enter the description on one line".to_owned());
    }
    Ok(text.to_owned())
}

pub fn parse_types(names: &[String]) -> Result<Vec<EventType>, String> {
    let mut types = names
        .iter()
        .map(|name| name.parse::<EventType>().map_err(|error| error.to_string()))
        .collect::<Result<Vec<_>, _>>()?;
    types.sort_unstable();
    types.dedup();
    Ok(types)
}

pub fn parse_filters(filters: &[Filter]) -> Result<Vec<Filter>, String> {
    if filters.len() > MAX_FILTERS {
        return Err(format!("Enter up to {MAX_FILTERS} filters"));
    }
    for (index, filter) in filters.iter().enumerate() {
        filter
            .check()
            .map_err(|why| format!("Filter {}: {why}", index + 1))?;
    }
    Ok(filters.to_vec())
}

/// Headers that Wheelhouse sets, or that control the transport of the request.
const RESERVED: [&str; 18] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

pub fn parse_headers<'a>(
    given: impl Iterator<Item = (&'a str, Option<&'a Secret>)>,
    stored: &[Header],
) -> Result<Vec<Header>, String> {
    let mut headers: Vec<Header> = Vec::new();
    for (name, value) in given {
        let name = name.trim().to_ascii_lowercase();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&byte);
        if name.is_empty() || name.len() > 100 || !name.bytes().all(token) {
            return Err(format!("“{name}” isn't a valid header name"));
        }
        if RESERVED.contains(&name.as_str()) || name.starts_with("webhook-") {
            return Err(format!("{name} is reserved"));
        }
        let kept = stored.iter().find(|header| header.name == name);
        let value = value
            .cloned()
            .or_else(|| kept.map(|header| header.value.clone()))
            .unwrap_or_default();
        let text = value.expose();
        if text.is_empty() || text.len() > MAX_HEADER_VALUE_LEN {
            return Err(format!(
                "Enter a value of up to {MAX_HEADER_VALUE_LEN} characters for {name}"
            ));
        }
        if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(format!(
                "Use only printable ASCII characters in the value of {name}"
            ));
        }
        if headers.iter().any(|header| header.name == name) {
            return Err(format!("{name} is listed twice"));
        }
        headers.push(Header { name, value });
    }
    if headers.len() > MAX_HEADERS {
        return Err(format!("Enter up to {MAX_HEADERS} headers"));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use domain::webhooks::Operator;

    use super::*;

    fn headers(name: &str, value: &str) -> Result<Vec<Header>, String> {
        parse_headers([(name, Some(&Secret::from(value)))].into_iter(), &[])
    }

    #[test]
    fn headers_may_not_say_what_is_ours_to_say() {
        for name in [
            "Host",
            "content-type",
            "Webhook-Signature",
            "Transfer-Encoding",
            "Connection",
            "User-Agent",
            "",
            "a b",
            "x:y",
            "x\r\ny",
        ] {
            assert!(headers(name, "x").is_err(), "{name}");
        }
        for value in ["", "a\r\nHost: evil", "é", &"x".repeat(1001)] {
            assert!(headers("X-Key", value).is_err(), "{value}");
        }
        assert_eq!(headers("X-Key", "open sesame").unwrap()[0].name, "x-key");
    }

    #[test]
    fn a_header_without_a_value_keeps_the_stored_one() {
        let stored = headers("X-Key", "old").unwrap();
        let kept = parse_headers([("x-key", None)].into_iter(), &stored).unwrap();
        assert_eq!(kept, stored);
        assert!(parse_headers([("x-other", None)].into_iter(), &stored).is_err());
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let input = CreateWebhookRequest {
            url: "http://10.0.0.1/".into(),
            description: Some("x".repeat(301)),
            event_types: vec!["contact.exploded".into()],
            filters: vec![Filter {
                path: String::new(),
                operator: Operator::Equals,
                value: None,
            }],
            include_test_events: false,
            headers: [("host".to_owned(), Secret::from("x"))].into(),
        };
        let errors = input.parse(&Policy::default()).unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|(field, _)| field).collect();
        assert_eq!(
            fields,
            ["description", "event_types", "filters", "headers", "url"]
        );
    }
}

//! The query parameters of the page of a webhook.

use leptos::prelude::*;

/// The query parameters of the page.
#[derive(Clone, Copy)]
pub(super) struct RouteQuery {
    pub(super) status: Memo<String>,
    pub(super) event_type: Memo<String>,
    pub(super) hours: Memo<String>,
    pub(super) before: Memo<String>,
    pub(super) delivery: Memo<String>,
}

impl RouteQuery {
    /// The URL of the filtered list with one parameter changed.
    pub(super) fn with(self, name: &str, value: &str) -> String {
        let mut address = String::from("?");
        for (known, signal) in [
            ("status", self.status),
            ("type", self.event_type),
            ("hours", self.hours),
            ("before", self.before),
            ("delivery", self.delivery),
        ] {
            // Another filter starts at the first page, with no delivery open.
            let old = match known {
                "before" if name != "delivery" => String::new(),
                "delivery" => String::new(),
                _ => signal.get(),
            };
            let value = if known == name { value } else { &old };
            if !value.is_empty() {
                address += &format!("{known}={value}&");
            }
        }
        address.truncate(address.len() - 1);
        if address.is_empty() {
            "?".to_owned()
        } else {
            address
        }
    }
}

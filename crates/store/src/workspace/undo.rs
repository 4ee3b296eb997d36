//! Undo of a change of name or URL.

use std::time::Duration;

use domain::hours;

/// How long a change of name or URL can be undone.
pub(super) const UNDO: Duration = hours(1);

pub(super) fn from_to(data: &serde_json::Value) -> (&str, &str) {
    (
        data["from"].as_str().unwrap_or_default(),
        data["to"].as_str().unwrap_or_default(),
    )
}

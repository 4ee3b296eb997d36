//! The result of one attempt to deliver an event.

use std::time::Duration;

use domain::Timestamp;
use serde_json::{Map, Value};

/// The result of an attempt.
#[derive(Clone, Debug)]
pub struct AttemptResult {
    pub at: Timestamp,
    pub duration: Duration,
    pub status: Option<u16>,
    /// `None` means success.
    pub error: Option<&'static str>,
    /// How long the receiver asks to wait, in seconds.
    pub retry_after: Option<u64>,
    pub request_headers: Value,
    pub response_headers: Option<Value>,
    pub response_body: Option<String>,
}

impl AttemptResult {
    /// The result of an attempt that could not start.
    pub fn not_sent(error: &'static str) -> Self {
        Self {
            at: Timestamp::now(),
            duration: Duration::ZERO,
            status: None,
            error: Some(error),
            retry_after: None,
            request_headers: Value::Object(Map::new()),
            response_headers: None,
            response_body: None,
        }
    }
}

//! The rate limits in the headers of a response (draft-ietf-httpapi-ratelimit-headers): `RateLimit-Policy` describes the
//! limits, `RateLimit` what is left of them.

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use store::rate_limit::api::{ApiLimitCheck, LimitState};

/// The names of the headers in the documentation.
pub const POLICY_NAME: &str = "RateLimit-Policy";
pub const LEFT_NAME: &str = "RateLimit";
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Adds the state of the limits to a response.
pub fn set_rate_limit_headers(verdict: &ApiLimitCheck, mut response: Response) -> Response {
    if verdict.standings.is_empty() {
        return response;
    }
    let list = |item: fn(&LimitState) -> String| {
        let items: Vec<String> = verdict.standings.iter().map(item).collect();
        HeaderValue::from_str(&items.join(", ")).ok()
    };
    let policy = list(|s| format!("\"{}\";q={};w={}", s.name, s.quota, s.window));
    let left = list(|s| format!("\"{}\";r={};t={}", s.name, s.remaining, s.reset));
    let headers = response.headers_mut();
    headers.extend(policy.map(|value| (POLICY, value)));
    headers.extend(left.map(|value| (LEFT, value)));
    response
}

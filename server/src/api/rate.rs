//! The limits in the headers of an answer (draft-ietf-httpapi-ratelimit-headers): `RateLimit-Policy` says what there is,
//! `RateLimit` what is left.

use app::rate_limit::api::{ApiLimitCheck, LimitState};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

/// The headers' names as the documentation writes them.
pub const POLICY_NAME: &str = "RateLimit-Policy";
pub const LEFT_NAME: &str = "RateLimit";
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Writes where the limits stand into an answer.
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

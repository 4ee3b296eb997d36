//! Rejects state-changing requests from other sites' pages. Leptos has no such check of its own.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::client_ip::text;
use super::log::public_part;
use crate::state::AppState;

pub async fn check(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    // An email client sends no origin. The token in the URL is the proof, and all it does is turn off one setting.
    let by_mail = request.uri().path().starts_with("/unsubscribe/");
    if reads || by_mail || is_own(request.headers(), &state.ctx.site().public_url) {
        return next.run(request).await;
    }
    tracing::warn!(
        path = public_part(request.uri().path()),
        "refused: the request comes from another site"
    );
    (
        StatusCode::FORBIDDEN,
        "This request came from another site. Open Wheelhouse and try again.",
    )
        .into_response()
}

/// Browsers report in Sec-Fetch-Site whether a request is same-origin; over plain HTTP only some do, and then Origin
/// must be ours. Each header that is present must match; a request with neither is not a browser's form.
fn is_own(headers: &HeaderMap, public_url: &str) -> bool {
    let site = headers
        .get("sec-fetch-site")
        .map(|site| site == "same-origin");
    let origin = headers
        .contains_key(header::ORIGIN)
        .then(|| text(headers, header::ORIGIN) == Some(public_url));
    match (site, origin) {
        (None, None) => false,
        (site, origin) => site.unwrap_or(true) && origin.unwrap_or(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_may_change_something() {
        let own = |pairs: &[(&'static str, &str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
            is_own(&headers, "https://settings.example")
        };
        assert!(own(&[("sec-fetch-site", "same-origin")]));
        assert!(own(&[("origin", "https://settings.example")]));
        assert!(own(&[
            ("sec-fetch-site", "same-origin"),
            ("origin", "https://settings.example")
        ]));
        assert!(!own(&[]));
        assert!(!own(&[
            ("sec-fetch-site", "same-origin"),
            ("origin", "https://evil.example")
        ]));
        assert!(!own(&[
            ("sec-fetch-site", "same-origin"),
            ("origin", "null")
        ]));
        assert!(!own(&[("sec-fetch-site", "")]));
        assert!(!own(&[("origin", "")]));
        assert!(!own(&[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://settings.example")
        ]));
        assert!(!own(&[("sec-fetch-site", "same-site")]));
        assert!(!own(&[("sec-fetch-site", "none")]));
        assert!(!own(&[("origin", "https://evil.example")]));
        assert!(!own(&[("origin", "null")]));
        assert!(!own(&[("origin", "https://settings.example.evil.example")]));
    }
}

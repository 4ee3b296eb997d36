//! Logs one line per request, with an ID shared by all lines of that request. Tokens in paths are not logged.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use crate::state::AppState;

/// Paths whose second segment is a secret.
const SECRET: [&str; 4] = [
    "/invite/",
    "/reset-password/",
    "/confirm-email/",
    "/unsubscribe/",
];

pub async fn requests(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let span = tracing::info_span!("request", id = %id);
    async move {
        let started = Instant::now();
        let method = request.method().clone();
        let path = public_part(request.uri().path()).to_owned();
        let mut response = next.run(request).await;
        let (status, took) = (response.status().as_u16(), started.elapsed());
        state.metrics.answered(status, took);
        let duration_ms = took.as_secs_f64() * 1000.0;
        tracing::info!(%method, path, status, duration_ms = format_args!("{duration_ms:.1}"), "request completed");
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-request-id", id);
        }
        response
    }
    .instrument(span)
    .await
}

pub fn public_part(path: &str) -> &str {
    SECRET
        .iter()
        .find(|prefix| path.starts_with(**prefix))
        .map_or(path, |prefix| prefix)
}

#[cfg(test)]
mod tests {
    use super::public_part;

    #[test]
    fn tokens_stay_out_of_the_log() {
        assert_eq!(public_part("/invite/01abc"), "/invite/");
        assert_eq!(public_part("/reset-password/xyz"), "/reset-password/");
        assert_eq!(
            public_part("/w/acme/settings/account"),
            "/w/acme/settings/account"
        );
    }
}

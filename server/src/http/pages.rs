//! Handlers: pages, server functions, and the few other routes.

use std::any::Any;
use std::net::SocketAddr;

use app::ui::percent_encode;
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Redirect, Response};
use domain::AppError;
use domain::form::Flash;
use leptos::nonce::use_nonce;
use leptos::prelude::{provide_context, use_context};
use store::auth::{Caller, Principal};
use store::email::queue;
use store::members::export_csv;
use store::notifications::{read_unsubscribe, write};
use store::settlement::provider_webhook;
use store::{credits, dispatch};

use super::client_ip;
use super::headers::PageNonce;
use crate::metrics::{self, GaugeSnapshot};
use crate::state::AppState;

/// Passes the results of the layers to pages and server functions.
pub fn provide() {
    let Some(parts) = use_context::<Parts>() else {
        return;
    };
    if let Some(caller) = parts.extensions.get::<Caller>() {
        provide_context(caller.clone());
    }
    provide_context(parts.extensions.get::<Flash>().cloned());
    if let (Some(nonce), Some(page)) = (use_nonce(), parts.extensions.get::<PageNonce>()) {
        page.set(&nonce);
    }
}

/// RFC 8058: handles the POST of an email client's Unsubscribe button.
pub async fn unsubscribe_by_one_click(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Response {
    let Some((user, switch)) = read_unsubscribe(&state.ctx, &token) else {
        return answer(&AppError::NotFound);
    };
    match write(&state.ctx, user, &[(switch, false)]).await {
        Ok(()) => "Unsubscribed.".into_response(),
        Err(error) => answer(&error),
    }
}

/// Handles provider events. The signature authenticates them; the provider resends an event that fails.
pub async fn payment_event(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let signature = client_ip::text(&headers, HeaderName::from_static("stripe-signature"));
    match provider_webhook::handle_event(&state.ctx, signature.unwrap_or_default(), &body).await {
        Ok(()) => "ok".into_response(),
        Err(error) => answer(&error),
    }
}

pub async fn members_csv(
    Extension(caller): Extension<Caller>,
    Path(slug): Path<String>,
) -> Response {
    let csv = async {
        let actor = caller.actor(&slug).await?;
        export_csv(caller.ctx(), &actor.permit()?).await
    };
    file(&slug, "members.csv", csv.await)
}

pub async fn credits_csv(
    Extension(caller): Extension<Caller>,
    Path(slug): Path<String>,
) -> Response {
    let csv = async {
        let actor = caller.actor(&slug).await?;
        credits::view::export_csv(caller.ctx(), &Principal::from(actor).permit()?).await
    };
    file(&slug, "credits.csv", csv.await)
}

/// A CSV file to download.
fn file(slug: &str, name: &str, csv: Result<String, AppError>) -> Response {
    match csv {
        Ok(csv) => {
            let disposition = format!("attachment; filename=\"{name}\"");
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                (header::CONTENT_DISPOSITION, disposition),
            ];
            (headers, csv).into_response()
        }
        // A link has no field; the page with the field redirects back here.
        Err(AppError::Invalid(errors)) if errors.get("current_password").is_some() => {
            let next = percent_encode(&format!("/w/{slug}/{name}"));
            Redirect::to(&format!("/confirm-password?next={next}")).into_response()
        }
        Err(error) => answer(&error),
    }
}

/// The process responds.
pub async fn healthz() -> &'static str {
    "ok"
}

/// The database responds and is migrated.
pub async fn readyz(State(state): State<AppState>) -> Response {
    match state.ctx.db().is_migrated().await {
        Ok(true) => "ready".into_response(),
        Ok(false) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database is not migrated",
        )
            .into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the database does not respond",
            )
                .into_response()
        }
    }
}

/// Prometheus metrics. They contain no personal data, but the load of an installation concerns only its operator: only
/// this machine and private networks get a response, and no request through an untrusted proxy does.
pub async fn metrics(
    State(state): State<AppState>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Response {
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer.ip());
    if !peer.is_none_or(|peer| client_ip::is_private_peer(peer, &headers, &state.proxies)) {
        return answer(&AppError::NotFound);
    }
    match waiting(&state).await {
        Ok(now) => {
            let kind = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)];
            (kind, state.metrics.text(now)).into_response()
        }
        Err(error) => answer(&error),
    }
}

/// Partial indexes contain only pending rows, so the cost of counting depends only on those.
async fn waiting(state: &AppState) -> Result<GaugeSnapshot, AppError> {
    Ok(GaugeSnapshot {
        events_pending: dispatch::count_pending(&state.ctx).await?,
        emails_pending: queue::count_pending(&state.ctx).await?,
        streams: state.streams.open() as u64,
    })
}

fn answer(error: &AppError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, error.to_string()).into_response()
}

/// A panic causes one response with status 500; the process continues.
pub fn panicked(panic: Box<dyn Any + Send>) -> Response<Body> {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = message.unwrap_or("unknown"), "a handler panicked");
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong on our end. Try again in a moment.",
    )
        .into_response()
}

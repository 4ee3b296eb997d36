//! Handlers: pages, server functions, and the few addresses that are neither.

use std::any::Any;

use app::domain::AppError;
use app::form::Flash;
use app::session::Caller;
use app::settings::members::store::export_csv;
use app::settings::notifications::store::{read_unsubscribe, write};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use leptos::nonce::use_nonce;
use leptos::prelude::{provide_context, use_context};

use super::AppState;
use super::headers::PageNonce;

/// Hands pages and server functions what the layers found out.
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

/// RFC 8058: what a mail program posts when someone presses its Unsubscribe button.
pub async fn unsubscribe_by_one_click(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Response {
    let Some((user, switch)) = read_unsubscribe(&state.house, &token) else {
        return answer(&AppError::NotFound);
    };
    match write(&state.house, user, &[(switch, false)]).await {
        Ok(()) => "Unsubscribed.".into_response(),
        Err(error) => answer(&error),
    }
}

pub async fn members_csv(
    Extension(caller): Extension<Caller>,
    Path(slug): Path<String>,
) -> Response {
    let csv = async {
        let actor = caller.actor(&slug).await?;
        export_csv(caller.house(), &actor).await
    };
    match csv.await {
        Ok(csv) => {
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
                (
                    header::CONTENT_DISPOSITION,
                    "attachment; filename=\"members.csv\"",
                ),
            ];
            (headers, csv).into_response()
        }
        Err(error) => answer(&error),
    }
}

/// The process answers.
pub async fn healthz() -> &'static str {
    "ok"
}

/// The database answers and is migrated.
pub async fn readyz(State(state): State<AppState>) -> Response {
    match state.house.db().is_migrated().await {
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
                "the database does not answer",
            )
                .into_response()
        }
    }
}

fn answer(error: &AppError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, error.to_string()).into_response()
}

/// A panic is one answer of 500, not the end of the process.
pub fn panicked(panic: Box<dyn Any + Send>) -> Response<Body> {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = message.unwrap_or("unknown"), "a handler panicked");
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong. This is our fault, not yours.",
    )
        .into_response()
}

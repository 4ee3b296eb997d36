//! The public API, version 1: the customers' programs use the same stores as the pages, authenticated by an API key. There
//! are no cookies and no origin check here, and pages of other sites cannot read a response: CORS stays off.
//!
//! A request passes `auth` (key, limits, log). A handler names the scope it requires in its first argument, parses the
//! input, and calls a store. Documentation and routes come from the same attribute.

mod auth;
mod contacts;
mod credits;
mod docs;
mod entitlements;
mod events;
mod extract;
mod idempotency;
mod keys;
mod me;
mod members;
mod numbers;
mod openapi;
mod pagination;
mod problem;
mod rate;
mod samples;
mod scopes;
mod webhooks;

use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::AppState;

pub use openapi::document;

/// The path of version 1.
pub const ROOT: &str = "/api/v1";
/// The timeout of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Every resource of the API, with its description.
fn resources() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::Base::openapi())
        .routes(routes!(me::show))
        .routes(routes!(contacts::list, contacts::create))
        .routes(routes!(contacts::search))
        .routes(routes!(contacts::show, contacts::replace, contacts::delete))
        .routes(routes!(credits::show))
        .routes(routes!(credits::entries))
        .routes(routes!(credits::spend))
        .routes(routes!(credits::reserve))
        .routes(routes!(credits::capture))
        .routes(routes!(credits::release))
        .routes(routes!(entitlements::show))
        .routes(routes!(events::report))
        .routes(routes!(members::list))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::show, webhooks::change, webhooks::delete))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::rotate_secret))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::resend))
        .routes(routes!(keys::verify))
        .routes(routes!(keys::authorize))
}

/// The resources, behind authentication. The outermost router nests them at [`ROOT`]; its own fallback would otherwise
/// respond to paths that do not exist here.
pub fn router(state: &AppState) -> Router<AppState> {
    let (resources, _) = resources().split_for_parts();
    resources
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(from_fn_with_state(state.clone(), auth::admit))
        .layer(from_fn(auth::timeout))
        .layer(CatchPanicLayer::custom(problem::panicked))
}

/// The documentation, for everybody.
pub fn docs_router() -> Router<AppState> {
    Router::new()
        .route("/api/docs", get(docs::page))
        .route("/api/docs.css", get(docs::style))
        .route("/api/docs.js", get(docs::script))
        .route("/api/openapi.json", get(docs::openapi))
        .layer(CompressionLayer::new())
}

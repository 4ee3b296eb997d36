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
mod routes;
mod samples;
mod scopes;
mod webhooks;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::state::AppState;

pub use openapi::base::ROOT;
pub use openapi::document;

use routes::resources;

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

//! HTTP: the router, and the layers that every request passes.

mod caller;
mod flash;
mod headers;
mod live;
mod log;
mod origin;
mod pages;

pub use caller::peer_address;
pub use pages::panicked;

use std::sync::Arc;
use std::time::Duration;

use app::house::House;
use app::shell::shell;
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use ipnet::IpNet;
use leptos::config::LeptosOptions;
use leptos_axum::{LeptosRoutes, generate_route_list};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::{CompressionLayer, CompressionLevel};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::services::ServeDir;
use tower_http::timeout::TimeoutLayer;

use crate::api;
use crate::config::Config;

/// Nobody types more than this into a form.
const LARGEST_BODY: usize = 256 * 1024;
const SLOWEST_ANSWER: Duration = Duration::from_secs(30);

/// What handlers and layers need.
#[derive(Clone, FromRef)]
pub struct AppState {
    pub house: House,
    pub options: LeptosOptions,
    pub flashes: flash::Flashes,
    pub proxies: Arc<[IpNet]>,
    pub presence: caller::Presence,
    pub stop: CancellationToken,
}

/// Every route, behind every layer.
pub fn router(
    house: &House,
    options: LeptosOptions,
    config: &Config,
    stop: CancellationToken,
) -> Router {
    let state = AppState {
        house: house.clone(),
        options: options.clone(),
        flashes: flash::Flashes::default(),
        proxies: config.trusted_proxies.clone().into(),
        presence: caller::Presence::default(),
        stop,
    };
    let pages = generate_route_list(app::shell::App);
    let site_root = options.site_root.to_string();
    let files = ServeDir::new(format!("{site_root}/{}", options.site_pkg_dir))
        .precompressed_br()
        .precompressed_gzip();
    Router::new()
        .leptos_routes_with_context(&state, pages, pages::provide, {
            let options = options.clone();
            move || shell(options.clone())
        })
        .fallback(leptos_axum::file_and_error_handler_with_context::<
            AppState,
            _,
        >(pages::provide, shell))
        .route(
            "/unsubscribe/{token}",
            post(pages::unsubscribe_by_one_click),
        )
        .route("/w/{slug}/members.csv", get(pages::members_csv))
        .route("/live", get(live::stream))
        .layer(from_fn_with_state(state.clone(), flash::keep))
        .layer(from_fn_with_state(state.clone(), flash::hand_over))
        .layer(from_fn_with_state(state.clone(), origin::check))
        .layer(from_fn_with_state(state.clone(), caller::identify))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .nest_service(
            &format!("/{}", options.site_pkg_dir),
            tower::ServiceBuilder::new()
                .layer(from_fn(headers::immutable))
                .service(files),
        )
        .route("/healthz", get(pages::healthz))
        .route("/readyz", get(pages::readyz))
        .layer(TimeoutLayer::with_status_code(
            http::StatusCode::REQUEST_TIMEOUT,
            SLOWEST_ANSWER,
        ))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(RequestBodyLimitLayer::new(LARGEST_BODY))
        // With sizes and times of its own, and neither cookies nor forms.
        .nest(api::ROOT, api::router(&state))
        .merge(api::reading())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), headers::security))
        .layer(from_fn(log::requests))
        .with_state(state)
}

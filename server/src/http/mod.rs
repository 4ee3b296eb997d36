//! HTTP: the router, and the layers for every request.

pub(crate) mod client_ip;
mod csrf;
mod flash;
mod headers;
pub(crate) mod last_seen;
pub mod listen;
pub(crate) mod live;
mod log;
pub(crate) mod pages;
pub(crate) mod streams;

use std::time::Duration;

use app::pages::PAGES;
use app::shell::shell;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use leptos_axum::{LeptosRoutes, render_app_async_with_context};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::{CompressionLayer, CompressionLevel};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::services::ServeDir;
use tower_http::timeout::TimeoutLayer;

use self::pages::panicked;
use crate::api;
use crate::state::{AppState, MAX_BODY_BYTES};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The group of a route: among the pages, behind caller identification and CSRF checks, or before those layers, for
/// programs that monitor this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteGroup {
    Pages,
    Ops,
}

/// A route that is neither a page nor a server function.
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub group: RouteGroup,
    handler: fn() -> MethodRouter<AppState>,
}

/// Every route that is neither a page nor a server function. The access matrix in the tests uses this list.
pub const ROUTES: [Route; 8] = [
    Route {
        method: "POST",
        path: "/unsubscribe/{token}",
        group: RouteGroup::Pages,
        handler: || post(pages::unsubscribe_by_one_click),
    },
    Route {
        method: "GET",
        path: "/w/{slug}/members.csv",
        group: RouteGroup::Pages,
        handler: || get(pages::members_csv),
    },
    Route {
        method: "GET",
        path: "/w/{slug}/credits.csv",
        group: RouteGroup::Pages,
        handler: || get(pages::credits_csv),
    },
    Route {
        method: "GET",
        path: "/live",
        group: RouteGroup::Pages,
        handler: || get(live::stream),
    },
    Route {
        method: "POST",
        path: "/stripe/webhook",
        group: RouteGroup::Ops,
        handler: || post(pages::payment_event),
    },
    Route {
        method: "GET",
        path: "/healthz",
        group: RouteGroup::Ops,
        handler: || get(pages::healthz),
    },
    Route {
        method: "GET",
        path: "/readyz",
        group: RouteGroup::Ops,
        handler: || get(pages::readyz),
    },
    Route {
        method: "GET",
        path: "/metrics",
        group: RouteGroup::Ops,
        handler: || get(pages::metrics),
    },
];

fn routes(router: Router<AppState>, place: RouteGroup) -> Router<AppState> {
    ROUTES
        .iter()
        .filter(|route| route.group == place)
        .fold(router, |router, route| {
            router.route(route.path, (route.handler)())
        })
}

/// Every route, behind every layer.
pub fn router(state: AppState) -> Router {
    let options = state.options.clone();
    let site_root = options.site_root.to_string();
    let files = ServeDir::new(format!("{site_root}/{}", options.site_pkg_dir))
        .precompressed_br()
        .precompressed_gzip();
    let package = format!("/{}", options.site_pkg_dir);
    let document = move || shell((*options).clone());
    // The server functions; the pages follow below.
    let router = Router::new().leptos_routes_with_context(
        &state,
        Vec::new(),
        pages::provide,
        document.clone(),
    );
    let router = PAGES
        .iter()
        .fold(router, |router, page| {
            let document = document.clone();
            router.route(
                page.path,
                get(render_app_async_with_context(pages::provide, document)),
            )
        })
        .fallback(leptos_axum::file_and_error_handler_with_context::<
            AppState,
            _,
        >(pages::provide, shell));
    let router = routes(router, RouteGroup::Pages)
        .layer(from_fn_with_state(state.clone(), flash::capture))
        .layer(from_fn_with_state(state.clone(), flash::deliver))
        .layer(from_fn_with_state(state.clone(), csrf::check))
        .layer(from_fn_with_state(state.clone(), client_ip::identify))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .nest_service(
            &package,
            tower::ServiceBuilder::new()
                .layer(from_fn(headers::immutable))
                .service(files),
        );
    with_request_checks(routes(router, RouteGroup::Ops), state)
}

/// Adds the outermost layers, which apply to every request.
pub fn with_request_checks(router: Router<AppState>, state: AppState) -> Router {
    router
        .layer(TimeoutLayer::with_status_code(
            http::StatusCode::REQUEST_TIMEOUT,
            REQUEST_TIMEOUT,
        ))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES))
        // With its own body limits and timeouts, and without cookies and forms.
        .nest(api::ROOT, api::router(&state))
        .merge(api::docs_router())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), headers::security))
        .layer(from_fn_with_state(state.clone(), log::requests))
        .with_state(state)
}

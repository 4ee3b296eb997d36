//! The routes of the API.

use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi::base::Base;
use super::{contacts, credits, entitlements, events, keys, me, members, webhooks};
use crate::state::AppState;

/// Every resource of the API, with its description.
pub fn resources() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Base::openapi())
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

//! `/events`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use store::context::AppContext;
use store::events::report::{self, CreateEventRequest, CreatedEvent};

use super::extract::IdempotentJson;
use super::idempotency::Outcome;
use super::problem::Problem;
use super::scopes::{Authorized, EventsWrite};

/// Report an event
///
/// Reports something that happened in your product. Members are notified according to their settings, and webhooks receive
/// the event. An event reported with a test key notifies nobody and is sent only to webhooks that include test events.
#[utoipa::path(
    post, path = "/events", operation_id = "reportEvent", tag = "Events", request_body = CreateEventRequest, security(("key" = ["events:write"])),
    responses((status = 201, description = "The recorded event.", body = CreatedEvent))
)]
pub async fn report(
    caller: Authorized<EventsWrite>,
    State(ctx): State<AppContext>,
    IdempotentJson { input, once }: IdempotentJson<CreateEventRequest>,
) -> Result<Response, Problem> {
    let report = input.parse()?;
    let mut open = match once.begin(&ctx).await? {
        Outcome::Replay(answer) => return Ok(answer),
        Outcome::Proceed(open) => open,
    };
    let event = report::report(open.tx(), &caller.principal.permit()?, report).await?;
    open.keep(StatusCode::CREATED, &event).await
}

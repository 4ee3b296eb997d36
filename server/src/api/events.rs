//! `/events`.

use app::context::AppContext;
use app::events::report::{self, EventIn, Reported};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::idempotency::Claim;
use super::input::Posted;
use super::need::{Allowed, EventsWrite};
use super::problem::Problem;

/// Report an event
///
/// Something that happened in the product. Members are told of it as they chose, and webhooks get it. What a test key
/// reports notifies nobody and goes only to webhooks that include test events.
#[utoipa::path(
    post, path = "/events", operation_id = "report_event", tag = "Events", request_body = EventIn, security(("key" = ["events:write"])),
    responses((status = 201, description = "The event as it was written down.", body = Reported))
)]
pub async fn report(
    caller: Allowed<EventsWrite>,
    State(ctx): State<AppContext>,
    Posted { input, once }: Posted<EventIn>,
) -> Result<Response, Problem> {
    let report = input.parse()?;
    let mut open = match once.claim(&ctx).await? {
        Claim::Answered(answer) => return Ok(answer),
        Claim::Open(open) => open,
    };
    let event = report::report(open.tx(), &caller.agent, report).await?;
    open.keep(StatusCode::CREATED, &event).await
}

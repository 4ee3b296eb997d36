//! The parts of the OpenAPI document that belong to no operation.

use utoipa::OpenApi;

use crate::api::problem::ProblemDetails;

/// The path of version 1.
pub const ROOT: &str = "/api/v1";
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Wheelhouse API",
        version = "1",
        description = "JSON over HTTPS. Send an API key with every request, as `Authorization: Bearer wh_live_…`. \
            Live and test data are separate. Data created with a test key is visible only to test keys and never triggers \
            notifications. Test keys see only the webhooks of test mode.\n\n\
            Lists are paginated: send the `next_cursor` of a page as `cursor` to get the next page.\n\n\
            POST requests accept an `Idempotency-Key`. Retries within 24 hours return the original response, with \
            `Idempotency-Replayed: true`.\n\n\
            Errors are returned as `application/problem+json` (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((
        url = "{origin}/api/v1",
        description = "Your installation.",
        variables(("origin" = (default = "http://127.0.0.1:3000", description = "Public URL of the installation.")))
    )),
    components(schemas(ProblemDetails)),
    tags(
        (name = "Contacts", description = "People you sell to."),
        (name = "Billing", description = "What the workspace's plan includes."),
        (name = "Credits", description = "Balance, spending and reservations. Test keys have their own credits."),
        (name = "Events", description = "Report what happened in your product."),
        (name = "Members", description = "People in the workspace."),
        (name = "Webhooks", description = "Receive events at your own URLs in real time. A test key sees and changes only webhooks \
            of test mode."),
        (name = "Keys", description = "Check a key and what it can do."),
    )
)]
pub struct Base;

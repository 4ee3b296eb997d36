//! `/webhooks` and `/deliveries`.

use app::context::AppContext;
use app::domain::{DeliveryId, WebhookId};
use app::settings::webhooks::deliveries::{self, DeliveryQuery};
use app::settings::webhooks::dto::{DeliveryOut, TestIn, WebhookIn, WebhookOut, WebhookPatch};
use app::settings::webhooks::store;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::extract::{ApiJson, EmptyBody, IdempotentJson, PathId, QueryParams};
use super::idempotency::Outcome;
use super::pagination::{ListPage, PageParams, PageRequest};
use super::problem::Problem;
use super::scopes::{Authorized, WebhooksWrite};

/// List webhooks
///
/// Oldest first, without their secrets.
#[utoipa::path(
    get, path = "/webhooks", operation_id = "list_webhooks", tag = "Webhooks", params(PageParams), security(("key" = ["webhooks:write"])),
    responses((status = 200, description = "A page of webhooks.", body = ListPage<WebhookOut>))
)]
pub async fn list(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    params: QueryParams,
) -> Result<Json<ListPage<WebhookOut>>, Problem> {
    params.only(&["limit", "cursor"])?;
    let slice = PageRequest::<WebhookId>::read(&params)?;
    let (rows, _) = store::list(&ctx, &caller.principal, slice.after, slice.one_more()).await?;
    Ok(slice.page(rows, |webhook| webhook.id))
}

/// Create a webhook
///
/// The answer holds the secret that deliveries are signed with. It is not shown by the API again.
#[utoipa::path(
    post, path = "/webhooks", operation_id = "create_webhook", tag = "Webhooks", request_body = WebhookIn, security(("key" = ["webhooks:write"])),
    responses((status = 201, description = "The new webhook, with its secret.", body = WebhookOut))
)]
pub async fn create(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    IdempotentJson { input, once }: IdempotentJson<WebhookIn>,
) -> Result<Response, Problem> {
    let mut open = match once.begin(&ctx).await? {
        Outcome::Replay(answer) => return Ok(answer),
        Outcome::Proceed(open) => open,
    };
    let webhook = store::create(open.tx(), &ctx, &caller.principal, &input).await?;
    open.keep(StatusCode::CREATED, &webhook).await
}

/// Get a webhook
#[utoipa::path(
    get, path = "/webhooks/{id}", operation_id = "get_webhook", tag = "Webhooks", params(("id" = String, Path, description = "The webhook's id.")),
    security(("key" = ["webhooks:write"])),
    responses((status = 200, description = "The webhook.", body = WebhookOut))
)]
pub async fn show(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<WebhookId>,
) -> Result<Json<WebhookOut>, Problem> {
    Ok(Json(store::find(&ctx, &caller.principal, id).await?))
}

/// Change a webhook
///
/// What is left out stays. Another URL gets another secret, which is then in the answer; one of another scheme, host or port
/// takes the values of all `headers` with it, if there are any, or an empty object that removes them.
#[utoipa::path(
    patch, path = "/webhooks/{id}", operation_id = "change_webhook", tag = "Webhooks", request_body = WebhookPatch,
    params(("id" = String, Path, description = "The webhook's id.")), security(("key" = ["webhooks:write"])),
    responses((status = 200, description = "The webhook as it is now.", body = WebhookOut))
)]
pub async fn change(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<WebhookId>,
    ApiJson(patch): ApiJson<WebhookPatch>,
) -> Result<Json<WebhookOut>, Problem> {
    let mut tx = ctx.db().begin().await?;
    let webhook = store::update(&mut tx, &ctx, &caller.principal, id, &patch).await?;
    tx.commit().await?;
    Ok(Json(webhook))
}

/// Delete a webhook
///
/// With every delivery and attempt.
#[utoipa::path(
    delete, path = "/webhooks/{id}", operation_id = "delete_webhook", tag = "Webhooks", params(("id" = String, Path, description = "The webhook's id.")),
    security(("key" = ["webhooks:write"])),
    responses((status = 204, description = "It is gone."))
)]
pub async fn delete(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<WebhookId>,
) -> Result<StatusCode, Problem> {
    let mut tx = ctx.db().begin().await?;
    store::remove(&mut tx, &caller.principal, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Test a webhook
///
/// Sends a sample of a type at once, also to a webhook that is paused: one attempt, no retries. What becomes of it can
/// be seen among the webhook's deliveries.
#[utoipa::path(
    post, path = "/webhooks/{id}/test", operation_id = "test_webhook", tag = "Webhooks", request_body = Option<TestIn>,
    params(("id" = String, Path, description = "The webhook's id.")), security(("key" = ["webhooks:write"])),
    responses((status = 202, description = "The delivery, on its way.", body = DeliveryOut))
)]
pub async fn test(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<WebhookId>,
    IdempotentJson { input, once }: IdempotentJson<Option<TestIn>>,
) -> Result<Response, Problem> {
    let event_type = input.unwrap_or_default().parse()?;
    let mut open = match once.begin(&ctx).await? {
        Outcome::Replay(answer) => return Ok(answer),
        Outcome::Proceed(open) => open,
    };
    let sent = store::test(open.tx(), &caller.principal, id, event_type).await?;
    let delivery = deliveries::find(open.tx(), &caller.principal, sent).await?;
    open.keep(StatusCode::ACCEPTED, &delivery).await
}

/// Rotate a webhook's secret
///
/// For 24 hours both secrets sign, so that a receiver can change over in peace. The answer holds the new one.
#[utoipa::path(
    post, path = "/webhooks/{id}/rotate-secret", operation_id = "rotate_webhook_secret", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook's id.")), security(("key" = ["webhooks:write"])),
    responses((status = 200, description = "The webhook, with its new secret.", body = WebhookOut))
)]
pub async fn rotate_secret(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<WebhookId>,
    IdempotentJson { once, .. }: IdempotentJson<Option<EmptyBody>>,
) -> Result<Response, Problem> {
    let mut open = match once.begin(&ctx).await? {
        Outcome::Replay(answer) => return Ok(answer),
        Outcome::Proceed(open) => open,
    };
    let webhook = store::rotate_secret(open.tx(), &ctx, &caller.principal, id).await?;
    open.keep(StatusCode::OK, &webhook).await
}

/// List a webhook's deliveries
///
/// Newest first, each with its attempts.
#[utoipa::path(
    get, path = "/webhooks/{id}/deliveries", operation_id = "list_deliveries", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook's id."), PageParams), security(("key" = ["webhooks:write"])),
    responses((status = 200, description = "A page of deliveries.", body = ListPage<DeliveryOut>))
)]
pub async fn deliveries(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<WebhookId>,
    params: QueryParams,
) -> Result<Json<ListPage<DeliveryOut>>, Problem> {
    params.only(&["limit", "cursor"])?;
    let slice = PageRequest::<DeliveryId>::read(&params)?;
    let wanted = DeliveryQuery {
        before: slice.after,
        ..DeliveryQuery::default()
    };
    let (rows, _) =
        store::deliveries(&ctx, &caller.principal, id, wanted, slice.one_more()).await?;
    Ok(slice.page(rows, |delivery| delivery.id))
}

/// Resend a delivery
///
/// At once, with the whole schedule of retries before it.
#[utoipa::path(
    post, path = "/deliveries/{id}/resend", operation_id = "resend_delivery", tag = "Webhooks",
    params(("id" = String, Path, description = "The delivery's id.")), security(("key" = ["webhooks:write"])),
    responses((status = 202, description = "The delivery, on its way again.", body = DeliveryOut))
)]
pub async fn resend(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<DeliveryId>,
    IdempotentJson { once, .. }: IdempotentJson<Option<EmptyBody>>,
) -> Result<Response, Problem> {
    let mut open = match once.begin(&ctx).await? {
        Outcome::Replay(answer) => return Ok(answer),
        Outcome::Proceed(open) => open,
    };
    store::resend(open.tx(), &caller.principal, id).await?;
    let delivery = deliveries::find(open.tx(), &caller.principal, id).await?;
    open.keep(StatusCode::ACCEPTED, &delivery).await
}

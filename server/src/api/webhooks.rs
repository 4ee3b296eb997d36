//! `/webhooks` and `/deliveries`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{DeliveryId, WebhookId};
use store::context::AppContext;
use store::webhooks;
use store::webhooks::deliveries::{self, DeliveryQuery};
use store::webhooks::dto::{
    CreateWebhookRequest, TestWebhookRequest, UpdateWebhookRequest, Webhook, WebhookDelivery,
};

use super::extract::{ApiJson, EmptyBody, IdempotentJson, PathId, QueryParams};
use super::idempotency::Outcome;
use super::pagination::{ListPage, PageParams, PageRequest, list_page};
use super::problem::Problem;
use super::scopes::{Authorized, WebhooksWrite};

/// List webhooks
///
/// Oldest first, without secrets. A test key sees only webhooks of test mode.
#[utoipa::path(
    get, path = "/webhooks", operation_id = "listWebhooks", tag = "Webhooks", params(PageParams), security(("key" = ["webhooks:write"])),
    responses((status = 200, description = "A page of webhooks.", body = ListPage<Webhook>))
)]
pub async fn list(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    params: QueryParams,
) -> Result<Json<ListPage<Webhook>>, Problem> {
    params.only(&["limit", "cursor"])?;
    let slice = PageRequest::<WebhookId>::read(&params)?;
    let (rows, next) = webhooks::list(
        &ctx,
        &caller.principal.permit_read()?,
        slice.after,
        slice.limit,
    )
    .await?;
    Ok(list_page(rows, next))
}

/// Create a webhook
///
/// The response contains the signing secret. The API does not return it again.
#[utoipa::path(
    post, path = "/webhooks", operation_id = "createWebhook", tag = "Webhooks", request_body = CreateWebhookRequest, security(("key" = ["webhooks:write"])),
    responses((status = 201, description = "The new webhook with its secret.", body = Webhook))
)]
pub async fn create(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    IdempotentJson { input, once }: IdempotentJson<CreateWebhookRequest>,
) -> Result<Response, Problem> {
    let mut open = match once.begin(&ctx).await? {
        Outcome::Replay(answer) => return Ok(answer),
        Outcome::Proceed(open) => open,
    };
    let webhook = webhooks::create(open.tx(), &ctx, &caller.principal.permit()?, &input).await?;
    open.keep(StatusCode::CREATED, &webhook).await
}

/// Get a webhook
#[utoipa::path(
    get, path = "/webhooks/{id}", operation_id = "getWebhook", tag = "Webhooks", params(("id" = String, Path, description = "ID of the webhook.")),
    security(("key" = ["webhooks:write"])),
    responses((status = 200, description = "The webhook.", body = Webhook))
)]
pub async fn show(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<WebhookId>,
) -> Result<Json<Webhook>, Problem> {
    Ok(Json(
        webhooks::find(&ctx, &caller.principal.permit_read()?, id).await?,
    ))
}

/// Change a webhook
///
/// Omitted fields stay unchanged. A new URL creates a new signing secret, which the response contains. If its scheme, host
/// or port differs, also send the values of all `headers`, or an empty object to remove them.
#[utoipa::path(
    patch, path = "/webhooks/{id}", operation_id = "changeWebhook", tag = "Webhooks", request_body = UpdateWebhookRequest,
    params(("id" = String, Path, description = "ID of the webhook.")), security(("key" = ["webhooks:write"])),
    responses((status = 200, description = "The changed webhook.", body = Webhook))
)]
pub async fn change(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<WebhookId>,
    ApiJson(patch): ApiJson<UpdateWebhookRequest>,
) -> Result<Json<Webhook>, Problem> {
    let mut tx = ctx.db().begin().await?;
    let webhook = webhooks::update(&mut tx, &ctx, &caller.principal.permit()?, id, &patch).await?;
    tx.commit().await?;
    Ok(Json(webhook))
}

/// Delete a webhook
///
/// Stops all deliveries and permanently deletes their history.
#[utoipa::path(
    delete, path = "/webhooks/{id}", operation_id = "deleteWebhook", tag = "Webhooks", params(("id" = String, Path, description = "ID of the webhook.")),
    security(("key" = ["webhooks:write"])),
    responses((status = 204, description = "Deleted."))
)]
pub async fn delete(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<WebhookId>,
) -> Result<StatusCode, Problem> {
    let mut tx = ctx.db().begin().await?;
    webhooks::remove(&mut tx, &caller.principal.permit()?, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Test a webhook
///
/// Sends a sample event immediately, also to a paused webhook. One attempt, no retries. See the outcome in the webhook's
/// deliveries.
#[utoipa::path(
    post, path = "/webhooks/{id}/test", operation_id = "testWebhook", tag = "Webhooks", request_body = Option<TestWebhookRequest>,
    params(("id" = String, Path, description = "ID of the webhook.")), security(("key" = ["webhooks:write"])),
    responses((status = 202, description = "The pending delivery.", body = WebhookDelivery))
)]
pub async fn test(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<WebhookId>,
    IdempotentJson { input, once }: IdempotentJson<Option<TestWebhookRequest>>,
) -> Result<Response, Problem> {
    let event_type = input.unwrap_or_default().parse()?;
    let mut open = match once.begin(&ctx).await? {
        Outcome::Replay(answer) => return Ok(answer),
        Outcome::Proceed(open) => open,
    };
    let sent = webhooks::test(open.tx(), &caller.principal.permit()?, id, event_type).await?;
    let delivery = deliveries::find(open.tx(), &caller.principal.permit_read()?, sent).await?;
    open.keep(StatusCode::ACCEPTED, &delivery).await
}

/// Rotate a webhook's secret
///
/// Both secrets are valid for 24 hours, so you can switch without downtime. The response contains the new one.
#[utoipa::path(
    post, path = "/webhooks/{id}/rotate-secret", operation_id = "rotateWebhookSecret", tag = "Webhooks",
    params(("id" = String, Path, description = "ID of the webhook.")), security(("key" = ["webhooks:write"])),
    responses((status = 200, description = "The webhook with its new secret.", body = Webhook))
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
    let webhook = webhooks::rotate_secret(open.tx(), &ctx, &caller.principal.permit()?, id).await?;
    open.keep(StatusCode::OK, &webhook).await
}

/// List a webhook's deliveries
///
/// Newest first, each with its attempts.
#[utoipa::path(
    get, path = "/webhooks/{id}/deliveries", operation_id = "listDeliveries", tag = "Webhooks",
    params(("id" = String, Path, description = "ID of the webhook."), PageParams), security(("key" = ["webhooks:write"])),
    responses((status = 200, description = "A page of deliveries.", body = ListPage<WebhookDelivery>))
)]
pub async fn deliveries(
    caller: Authorized<WebhooksWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<WebhookId>,
    params: QueryParams,
) -> Result<Json<ListPage<WebhookDelivery>>, Problem> {
    params.only(&["limit", "cursor"])?;
    let slice = PageRequest::<DeliveryId>::read(&params)?;
    let wanted = DeliveryQuery {
        before: slice.after,
        ..DeliveryQuery::default()
    };
    let (rows, next) = webhooks::deliveries(
        &ctx,
        &caller.principal.permit_read()?,
        id,
        wanted,
        slice.limit,
    )
    .await?;
    Ok(list_page(rows, next))
}

/// Resend a delivery
///
/// Resends immediately, with a fresh retry schedule.
#[utoipa::path(
    post, path = "/deliveries/{id}/resend", operation_id = "resendDelivery", tag = "Webhooks",
    params(("id" = String, Path, description = "ID of the delivery.")), security(("key" = ["webhooks:write"])),
    responses((status = 202, description = "The pending delivery.", body = WebhookDelivery))
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
    webhooks::resend(open.tx(), &caller.principal.permit()?, id).await?;
    let delivery = deliveries::find(open.tx(), &caller.principal.permit_read()?, id).await?;
    open.keep(StatusCode::ACCEPTED, &delivery).await
}

//! Deliveries, for the pages and for the API: listing, testing and resending.

use std::time::Duration;

use domain::catalog::EventType;
use domain::webhooks::{DeliveryStatus, PAGE, Status};
use domain::{AppError, DeliveryId, EventId, Timestamp, WebhookId, WorkspaceId};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QueryTrait, Set,
};

use super::dto::WebhookDelivery;
use super::find::{invalidate, locked, row, unblock};
use super::{envelope, signing};
use crate::auth::{Permit, Principal, ReadPermit, Sensitive, can};
use crate::context::AppContext;
use crate::db::entity::delivery::{self, Column};
use crate::db::entity::{delivery_attempt, webhook};
use crate::db::rows::page_of;
use crate::db::{Tx, entity, rows};

/// The maximum number of pending test deliveries of a webhook.
const MAX_TESTS: u64 = 10;
/// The maximum number of deliveries that Resend Failed takes at a time.
pub const MAX_RECOVERED: u64 = 10_000;
/// How often to check for an outcome without a notification.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Which deliveries to show.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeliveryQuery {
    pub status: Option<DeliveryStatus>,
    pub event_type: Option<EventType>,
    /// Created in the last this many hours.
    pub hours: Option<u64>,
    /// Older than this one.
    pub before: Option<DeliveryId>,
}

/// A page of deliveries, newest first, with their attempts, and where the next begins.
pub async fn deliveries(
    ctx: &AppContext,
    principal: &ReadPermit<can::ManageWebhooks, Principal>,
    id: WebhookId,
    wanted: DeliveryQuery,
    limit: u64,
) -> Result<(Vec<WebhookDelivery>, Option<DeliveryId>), AppError> {
    row(ctx.db().read(), principal, id).await?;
    let (rows, next) = page(ctx, id, wanted, limit).await?;
    let attempts = attempts(ctx.db().read(), rows.iter().map(|row| row.id)).await?;
    let rows = rows.iter().map(|row| WebhookDelivery::new(row, &attempts));
    Ok((rows.collect(), next))
}

pub(super) async fn page(
    ctx: &AppContext,
    id: WebhookId,
    wanted: DeliveryQuery,
    limit: u64,
) -> Result<(Vec<delivery::Model>, Option<DeliveryId>), AppError> {
    let mut query = entity::Delivery::find()
        .filter(Column::WebhookId.eq(id))
        .order_by_desc(Column::Id);
    if let Some(status) = wanted.status {
        query = query.filter(Column::Status.eq(status));
    }
    if let Some(event_type) = wanted.event_type {
        query = query.filter(Column::EventType.eq(event_type));
    }
    if let Some(hours) = wanted.hours {
        let since = Timestamp::now().before(domain::hours(hours));
        query = query.filter(Column::CreatedAt.gte(since));
    }
    if let Some(before) = wanted.before {
        query = query.filter(Column::Id.lt(before));
    }
    let rows: Vec<delivery::Model> =
        rows::up_to(limit + 1, query.into_query(), ctx.db().read()).await?;
    let (rows, more) = page_of(rows, limit);
    let next = rows.last().filter(|_| more).map(|row| row.id);
    Ok((rows, next))
}

pub(super) async fn attempts(
    connection: &impl ConnectionTrait,
    deliveries: impl Iterator<Item = DeliveryId>,
) -> Result<Vec<delivery_attempt::Model>, AppError> {
    use delivery_attempt::Column;
    let query = entity::DeliveryAttempt::find()
        .filter(Column::DeliveryId.is_in(deliveries))
        .order_by_asc(Column::Number)
        .into_query();
    Ok(rows::every(query, connection).await?)
}

/// A delivery and its webhook, if this principal can see the webhook.
async fn owned(
    connection: &impl ConnectionTrait,
    principal: &Principal,
    id: DeliveryId,
) -> Result<(delivery::Model, webhook::Model), AppError> {
    let delivery = entity::Delivery::find_by_id(id)
        .one(connection)
        .await?
        .ok_or(AppError::NotFound)?;
    let webhook = row(connection, principal, delivery.webhook_id).await?;
    Ok((delivery, webhook))
}

/// A delivery with its attempts.
pub async fn find(
    connection: &impl ConnectionTrait,
    principal: &ReadPermit<can::ManageWebhooks, Principal>,
    id: DeliveryId,
) -> Result<WebhookDelivery, AppError> {
    let (delivery, _) = owned(connection, principal, id).await?;
    let attempts = attempts(connection, [id].into_iter()).await?;
    Ok(WebhookDelivery::new(&delivery, &attempts))
}

/// The request body of a delivery: the sample, or the event's envelope.
pub(super) async fn payload(
    ctx: &AppContext,
    workspace: WorkspaceId,
    delivery: &delivery::Model,
) -> Result<String, AppError> {
    if let Some(payload) = &delivery.payload {
        return Ok(payload.clone());
    }
    let event = entity::Event::find_by_id(delivery.event_id)
        .filter(entity::event::Column::WorkspaceId.eq(workspace))
        .one(ctx.db().read())
        .await?
        .ok_or(AppError::NotFound)?;
    Ok(envelope::body(&event))
}

/// Sends a sample immediately, through the same path as every delivery. It also works for a paused webhook, to check the
/// endpoint before it is enabled. One attempt, no retries.
pub async fn test(
    tx: &mut Tx,
    principal: &Permit<can::ManageWebhooks, Principal>,
    id: WebhookId,
    event_type: EventType,
) -> Result<DeliveryId, AppError> {
    principal.require_confirmed()?;
    locked(tx, principal, id).await?;
    let waiting = entity::Delivery::find()
        .filter(Column::WebhookId.eq(id))
        .filter(Column::Status.eq(DeliveryStatus::Pending))
        .filter(Column::Payload.is_not_null())
        .count(tx)
        .await?;
    if waiting >= MAX_TESTS {
        return Err(AppError::RateLimited { retry_after: 15 });
    }
    let (delivery, event, now) = (DeliveryId::new(), EventId::new(), Timestamp::now());
    delivery::ActiveModel {
        payload: Set(Some(envelope::sample(
            principal.workspace(),
            event_type,
            event,
            now,
        ))),
        ..new_delivery(delivery, id, event, event_type, now)
    }
    .insert(tx)
    .await?;
    invalidate(tx, principal.workspace());
    Ok(delivery)
}

/// A delivery that is due at `at`.
pub fn new_delivery(
    id: DeliveryId,
    webhook: WebhookId,
    event: EventId,
    event_type: EventType,
    at: Timestamp,
) -> delivery::ActiveModel {
    delivery::ActiveModel {
        id: Set(id),
        webhook_id: Set(webhook),
        event_id: Set(event),
        event_type: Set(event_type),
        payload: Set(None),
        status: Set(DeliveryStatus::Pending),
        attempts: Set(0),
        scheduled_from: Set(0),
        next_attempt_at: Set(Some(at)),
        lease_token: Set(None),
        lease_until: Set(None),
        last_status_code: Set(None),
        last_error: Set(None),
        created_at: Set(Timestamp::now()),
        finished_at: Set(None),
    }
}

/// Waits up to `within` until a delivery is no longer pending or was tried, then returns it.
pub async fn outcome(
    ctx: &AppContext,
    principal: &ReadPermit<can::ManageWebhooks, Principal>,
    id: DeliveryId,
    within: Duration,
) -> Result<WebhookDelivery, AppError> {
    let mut invalidations = ctx.db().event_bus().listen();
    let end = tokio::time::Instant::now() + within;
    loop {
        let (delivery, _) = owned(ctx.db().read(), principal, id).await?;
        let settled = delivery.status != DeliveryStatus::Pending
            || delivery.lease_token.is_none() && delivery.attempts > delivery.scheduled_from;
        if settled || tokio::time::Instant::now() >= end {
            let attempts = attempts(ctx.db().read(), [id].into_iter()).await?;
            return Ok(WebhookDelivery::new(&delivery, &attempts));
        }
        // Any notification: a check is cheap, and one notification may stand for several changes.
        let _ = tokio::time::timeout(LOOK_AGAIN, invalidations.recv()).await;
    }
}

/// Resends immediately, with a fresh retry schedule.
pub async fn resend(
    tx: &mut Tx,
    principal: &Permit<can::ManageWebhooks, Principal>,
    id: DeliveryId,
) -> Result<(), AppError> {
    principal.require_confirmed()?;
    let (delivery, webhook) = owned(tx, principal, id).await?;
    if webhook.status != Status::Enabled && delivery.payload.is_none() {
        return Err(AppError::Conflict(
            "Enable this webhook to resend.".to_owned(),
        ));
    }
    let again = entity::Delivery::update_many()
        .col_expr(Column::Status, Expr::value(DeliveryStatus::Pending))
        .col_expr(Column::ScheduledFrom, Expr::col(Column::Attempts))
        .col_expr(Column::NextAttemptAt, Expr::value(Timestamp::now()))
        .col_expr(Column::FinishedAt, Expr::value(None::<Timestamp>))
        .filter(Column::Id.eq(id))
        .filter(not_under_way())
        .exec(tx)
        .await?;
    if again.rows_affected == 0 {
        return Err(AppError::Conflict("Already being sent.".to_owned()));
    }
    unblock(tx, webhook.id).await?;
    invalidate(tx, principal.workspace());
    Ok(())
}

/// Resends the deliveries that failed or were canceled after `since`, oldest first, and returns their number.
pub async fn recover(
    tx: &mut Tx,
    principal: &Permit<can::ManageWebhooks, Principal>,
    id: WebhookId,
    since: Timestamp,
) -> Result<u64, AppError> {
    principal.require_confirmed()?;
    let webhook = locked(tx, principal, id).await?;
    if webhook.status != Status::Enabled {
        return Err(AppError::Conflict(
            "Enable this webhook to resend failed deliveries.".to_owned(),
        ));
    }
    let lost = Query::select()
        .column(Column::Id)
        .from(delivery::Entity)
        .and_where(Column::WebhookId.eq(id))
        .and_where(Column::Status.is_in([DeliveryStatus::Failed, DeliveryStatus::Cancelled]))
        .and_where(Column::CreatedAt.gte(since))
        .and_where(Column::Payload.is_null())
        .order_by(Column::Id, sea_orm::Order::Asc)
        .limit(MAX_RECOVERED)
        .take();
    let done = entity::Delivery::update_many()
        .col_expr(Column::Status, Expr::value(DeliveryStatus::Pending))
        .col_expr(Column::ScheduledFrom, Expr::col(Column::Attempts))
        .col_expr(Column::NextAttemptAt, Expr::value(Timestamp::now()))
        .col_expr(Column::FinishedAt, Expr::value(None::<Timestamp>))
        .filter(Column::Id.in_subquery(lost))
        .exec(tx)
        .await?;
    unblock(tx, id).await?;
    invalidate(tx, principal.workspace());
    Ok(done.rows_affected)
}

/// Not leased by a worker that may still be sending it.
fn not_under_way() -> Condition {
    Condition::any()
        .add(Column::LeaseUntil.is_null())
        .add(Column::LeaseUntil.lt(Timestamp::now()))
}

/// Cancels the pending deliveries of a webhook that is no longer enabled, except samples, which someone requested.
pub(super) async fn cancel_waiting(tx: &mut Tx, row: &webhook::Model) -> Result<(), AppError> {
    entity::Delivery::update_many()
        .col_expr(Column::Status, Expr::value(DeliveryStatus::Cancelled))
        .col_expr(Column::NextAttemptAt, Expr::value(None::<Timestamp>))
        .col_expr(Column::LeaseToken, Expr::value(None::<uuid::Uuid>))
        .col_expr(Column::LeaseUntil, Expr::value(None::<Timestamp>))
        .col_expr(Column::FinishedAt, Expr::value(Timestamp::now()))
        .filter(Column::WebhookId.eq(row.id))
        .filter(Column::Status.eq(DeliveryStatus::Pending))
        .filter(Column::Payload.is_null())
        .filter(not_under_way())
        .exec(tx)
        .await?;
    invalidate(tx, row.workspace_id);
    Ok(())
}

/// A delivery as a shell command in one line, signed now, for trying an endpoint by hand.
pub async fn curl(
    ctx: &AppContext,
    principal: &ReadPermit<can::ManageWebhooks, Principal>,
    id: DeliveryId,
) -> Result<String, AppError> {
    principal.require_fresh(Sensitive::WebhookSecret)?;
    let (delivery, webhook) = owned(ctx.db().read(), principal, id).await?;
    let body = payload(ctx, principal.workspace(), &delivery).await?;
    let secrets = signing::secrets(ctx, &webhook)?;
    let own = signing::own_headers(&secrets, delivery.event_id, Timestamp::now(), &body);
    let mut command = format!("curl -i {}", quoted(&webhook.url));
    for (name, value) in own {
        command += &format!(" -H {}", quoted(&format!("{name}: {value}")));
    }
    for header in signing::headers(ctx, &webhook)? {
        let line = format!("{}: {}", header.name, header.value.expose());
        command += &format!(" -H {}", quoted(&line));
    }
    command += &format!(" --data-raw {}", quoted(&body));
    Ok(command)
}

/// In single quotes, which a shell takes literally.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The number of deliveries that the page shows.
pub(super) const SHOWN: u64 = PAGE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_what_is_quoted_as_it_is() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}

//! Claims due deliveries for a worker, and releases them.

use std::collections::HashSet;
use std::sync::Arc;

use domain::{AppError, DeliveryId, EventId, Timestamp, WebhookId};
use sea_orm::sea_query::{Condition, Expr, LockBehavior, LockType};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::claimed_batch::{ClaimedBatch, Events, Webhooks};
use super::statements::{due, free, suspect, webhook};
use crate::context::AppContext;
use crate::db::entity::delivery::Column;
use crate::db::{Db, Tx, entity};

/// How many deliveries a claim takes from each queue. It takes none for the endpoints in `full`.
#[derive(Clone, Debug)]
pub struct ClaimLimits {
    /// Includes test deliveries, which never wait.
    pub healthy: usize,
    pub suspect: usize,
    pub full: Vec<WebhookId>,
}

impl ClaimLimits {
    fn healthy(&self, now: Timestamp) -> Select<entity::Delivery> {
        let wanted = Condition::any()
            .add(Column::Payload.is_not_null())
            .add(self.regular(suspect().not()));
        first(due(now).filter(wanted), self.healthy)
    }

    fn suspect(&self, now: Timestamp) -> Select<entity::Delivery> {
        use entity::webhook::Column as Of;
        let open = Condition::any()
            .add(Of::CircuitOpenUntil.is_null())
            .add(Of::CircuitOpenUntil.lte(now));
        let wanted = self.regular(Condition::all().add(suspect()).add(open));
        first(
            due(now).filter(Column::Payload.is_null()).filter(wanted),
            self.suspect,
        )
    }

    /// Webhooks that match the condition and are not full.
    fn regular(&self, such: Condition) -> Condition {
        let regular = Condition::all().add(webhook(such));
        if self.full.is_empty() {
            return regular;
        }
        regular.add(Column::WebhookId.is_not_in(self.full.iter().copied()))
    }
}

/// The IDs of the first `most` deliveries.
fn first(wanted: Select<entity::Delivery>, most: usize) -> Select<entity::Delivery> {
    wanted
        .order_by_asc(Column::NextAttemptAt)
        .limit(most as u64)
        .select_only()
        .column(Column::Id)
}

/// Leases due deliveries to this worker. Returns how many it found; another process may lease some of them first.
pub async fn claim(
    ctx: &AppContext,
    wanted: &ClaimLimits,
) -> Result<(usize, Option<ClaimedBatch>), AppError> {
    let (db, now) = (ctx.db(), Timestamp::now());
    // Selects before the transaction and checks again inside it: selecting from thousands of due deliveries takes
    // milliseconds, during which nobody else could write on SQLite.
    let mut found: Vec<DeliveryId> = Vec::new();
    for (most, wanted) in [
        (wanted.healthy, wanted.healthy(now)),
        (wanted.suspect, wanted.suspect(now)),
    ] {
        if most > 0 {
            found.extend(wanted.into_tuple::<DeliveryId>().all(db.read()).await?);
        }
    }
    if found.is_empty() {
        return Ok((0, None));
    }
    let count = found.len();
    let mut claim = ClaimedBatch::new(ctx, now);
    let tx = db.begin().await?;
    // Skip deliveries that another process has leased meanwhile or is about to lease.
    let ids: Vec<DeliveryId> = due(now)
        .filter(Column::Id.is_in(found))
        .select_only()
        .column(Column::Id)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(&tx)
        .await?;
    claim.deliveries = entity::Delivery::update_many()
        .col_expr(Column::LeaseToken, Expr::value(claim.lease))
        .col_expr(Column::LeaseUntil, Expr::value(claim.until))
        .col_expr(Column::NextAttemptAt, Expr::value(claim.until))
        .filter(Column::Id.is_in(ids))
        .exec_with_returning(&tx)
        .await?;
    tx.commit().await?;
    (claim.webhooks, claim.events) = with(db, &claim.deliveries).await?;
    Ok((count, Some(claim)))
}

/// Releases every delivery of a claim, so that it is due immediately.
pub async fn release(tx: &Tx, claim: &ClaimedBatch) -> Result<(), AppError> {
    let ids = claim.deliveries.iter().map(|row| row.id).collect();
    free(claim.lease, ids)
        .col_expr(Column::NextAttemptAt, Expr::value(Timestamp::now()))
        .exec(tx)
        .await?;
    Ok(())
}

async fn with(
    db: &Db,
    deliveries: &[entity::delivery::Model],
) -> Result<(Webhooks, Events), AppError> {
    let webhooks: HashSet<WebhookId> = deliveries.iter().map(|row| row.webhook_id).collect();
    let webhooks = entity::Webhook::find()
        .filter(entity::webhook::Column::Id.is_in(webhooks))
        .all(db.read())
        .await?;
    let events: HashSet<EventId> = deliveries
        .iter()
        .filter(|row| row.payload.is_none())
        .map(|row| row.event_id)
        .collect();
    let events = entity::Event::find()
        .filter(entity::event::Column::Id.is_in(events))
        .all(db.read())
        .await?;
    Ok((
        webhooks
            .into_iter()
            .map(|row| (row.id, Arc::new(row)))
            .collect(),
        events
            .into_iter()
            .map(|row| (row.id, Arc::new(row)))
            .collect(),
    ))
}

//! Defers deliveries that cannot be sent because their endpoints or the failing queue are full.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::webhooks::DeliveryStatus;
use domain::{AppError, DeliveryId, Timestamp, WebhookId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::statements::{due, suspect, webhook};
use crate::context::AppContext;
use crate::db::entity::delivery::Column;
use crate::db::{Db, entity};
use crate::webhooks::health::FAILING_QUEUE_SIZE;

/// How many deliveries are deferred at a time because their endpoints are full, and how many because the failing queue
/// is full.
const PUT_OFF: u64 = 1_000;
/// How many deliveries one transaction defers, and the pause before the next one so that others can write.
const BATCH_SIZE: usize = 32;
const BATCH_PAUSE: Duration = Duration::from_millis(5);

/// The deliveries to defer because there is no room for them.
pub struct Delays {
    pub webhooks: BTreeMap<WebhookId, Timestamp>,
    /// Until when deliveries for the failing queue wait.
    pub suspects: Option<Timestamp>,
}

impl Delays {
    pub fn is_empty(&self) -> bool {
        self.webhooks.is_empty() && self.suspects.is_none()
    }
}

/// Defers deliveries for these webhooks and for the failing queue, up to a limit each, so that due deliveries are ones
/// that can be sent. The deliveries are selected before any transaction and written in small steps, so that other
/// writers do not wait.
pub async fn defer(ctx: &AppContext, delays: &Delays) -> Result<(), AppError> {
    let (db, now) = (ctx.db(), Timestamp::now());
    let mut groups: BTreeMap<Timestamp, Vec<WebhookId>> = BTreeMap::new();
    for (id, until) in &delays.webhooks {
        groups.entry(rounded(*until, now)).or_default().push(*id);
    }
    let mut most = PUT_OFF;
    for (until, ids) in groups {
        let waiting = entity::Delivery::find()
            .filter(Column::WebhookId.is_in(ids))
            .filter(Column::Status.eq(DeliveryStatus::Pending))
            .filter(Column::NextAttemptAt.lt(until))
            .filter(Column::LeaseToken.is_null())
            .filter(Column::Payload.is_null())
            .limit(most);
        most -= defer_deliveries(db, waiting, until).await?;
    }
    if let Some(until) = delays.suspects {
        defer_deliveries(db, overflow(now), until).await?;
    }
    Ok(())
}

/// Deliveries beyond the capacity of the failing queue. Deferring them ensures that due deliveries can be sent and that
/// no claim scans thousands of rows it cannot take.
fn overflow(now: Timestamp) -> Select<entity::Delivery> {
    due(now)
        .filter(Column::Payload.is_null())
        .filter(webhook(suspect()))
        .order_by_asc(Column::NextAttemptAt)
        .offset(FAILING_QUEUE_SIZE as u64)
        .limit(PUT_OFF)
}

/// Defers these deliveries and returns how many were found. Skips deliveries that have been leased meanwhile, or that
/// were attempted meanwhile and are due later.
async fn defer_deliveries(
    db: &Db,
    these: Select<entity::Delivery>,
    until: Timestamp,
) -> Result<u64, AppError> {
    let ids: Vec<DeliveryId> = these
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .all(db.read())
        .await?;
    for some in ids.chunks(BATCH_SIZE) {
        let tx = db.begin().await?;
        entity::Delivery::update_many()
            .col_expr(Column::NextAttemptAt, Expr::value(until))
            .filter(Column::Id.is_in(some.iter().copied()))
            .filter(Column::Status.eq(DeliveryStatus::Pending))
            .filter(Column::NextAttemptAt.lt(until))
            .filter(Column::LeaseToken.is_null())
            .exec(&tx)
            .await?;
        tx.commit().await?;
        tokio::time::sleep(BATCH_PAUSE).await;
    }
    Ok(ids.len() as u64)
}

/// Rounds up the time of a deferred delivery, which need not be exact to the millisecond. A few statements can then
/// write hundreds of deferrals, instead of one statement each while other work waits.
pub(super) fn rounded(at: Timestamp, now: Timestamp) -> Timestamp {
    let step = match at.since(now).as_millis() {
        0 => return at,
        1..1_000 => 20,
        _ => 250,
    };
    Timestamp::from_millis((at.millis() + step - 1).div_euclid(step) * step)
}

//! From events to deliveries: each enabled webhook of an event's workspace whose types, mode and filters match gets
//! one, in the transaction that dispatches the event. Those that can be sent at once are written as held by the sender.

use std::collections::{HashMap, HashSet};

use app::db::entity::delivery::Column as Delivered;
use app::db::{Db, Tx, entity};
use app::domain::{AppError, DeliveryId, Timestamp, WorkspaceId};
use app::house::House;
use app::live::{Hint, Topic};
use app::settings::webhooks::model::Status;
use app::settings::webhooks::{deliveries::new_delivery, wants::Wants};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::handover::Handover;
use super::queue::{self, Claim};

/// How many rows one statement inserts. Each has fifteen values, and SQLite takes 32,766 in a statement.
const ROWS: usize = 500;

/// The webhooks that get something of some workspaces' events.
pub struct Listeners(HashMap<WorkspaceId, Vec<Listener>>);

/// A webhook, with what is to be read of it read once for many events.
struct Listener {
    row: entity::webhook::Model,
    wants: Wants,
}

impl Listeners {
    /// Read before the transaction: a hundred webhooks take longer than all else in it, and on SQLite everybody would
    /// wait. Whatever is changed in between, is changed as if after it; for one that is deleted in between nothing can be
    /// written, and the batch is tried again.
    pub async fn load(db: &Db, workspaces: HashSet<WorkspaceId>) -> Result<Self, AppError> {
        use entity::webhook::Column;
        let mut listeners = Self(HashMap::new());
        if workspaces.is_empty() {
            return Ok(listeners);
        }
        let rows = entity::Webhook::find()
            .filter(Column::WorkspaceId.is_in(workspaces))
            .filter(Column::Status.eq(Status::Enabled))
            .all(db.read())
            .await?;
        for row in rows {
            let listener = Listener {
                wants: Wants::from(&row),
                row,
            };
            let place = listeners.0.entry(listener.row.workspace_id).or_default();
            place.push(listener);
        }
        Ok(listeners)
    }
}

/// An event, and a webhook that gets it.
pub struct Match<'a> {
    listener: &'a Listener,
    event: &'a entity::event::Model,
}

impl Match<'_> {
    /// What tells open pages of it.
    pub fn hint(&self) -> Hint {
        Hint::workspace(self.listener.row.workspace_id, Topic::Deliveries)
    }
}

impl Listeners {
    /// Which webhooks get which of these events.
    pub fn matches<'a>(&'a self, events: &'a [entity::event::Model]) -> Vec<Match<'a>> {
        let mut matches = Vec::new();
        for event in events {
            let Some(workspace) = event.workspace_id else {
                continue;
            };
            for listener in self.0.get(&workspace).into_iter().flatten() {
                if listener.wants.verdict(event).is_ok() {
                    matches.push(Match { listener, event });
                }
            }
        }
        matches
    }
}

/// Writes these deliveries, and says which of them to hand over once that is committed. A repeat adds nothing.
pub async fn fan_out(
    tx: &Tx,
    handover: &Handover,
    matches: &[Match<'_>],
) -> Result<Option<Claim>, AppError> {
    if matches.is_empty() {
        return Ok(None);
    }
    let now = Timestamp::now();
    let mut claim = Claim::new(now);
    let mut rows = Vec::new();
    for Match { listener, event } in matches {
        let row = &listener.row;
        // What would wait anyway is not put before those who need not.
        let at = row.blocked_until.map_or(now, |until| until.max(now));
        let mut delivery = new_delivery(DeliveryId::new(), row.id, event.id, event.event_type, at);
        if !queue::health(row).is_suspect() && handover.reserve(row.id) {
            claim.hold(&mut delivery, row, event)?;
        }
        rows.push(delivery);
    }
    if !write(tx, rows).await? {
        // Some were there before, with a lease of their own or none: none of them is ours to hand over.
        queue::unhold(tx, &claim).await?;
        return Ok(None);
    }
    Ok((!claim.deliveries.is_empty()).then_some(claim))
}

/// Hands over what is committed, or gives it back when the sender has gone, as it has at the end of the program.
pub async fn give(house: &House, handover: &Handover, claim: Claim) {
    let Some(claim) = handover.give(claim) else {
        return;
    };
    let given_back = async {
        let tx = house.db().begin().await?;
        queue::unhold(&tx, &claim).await?;
        tx.commit().await?;
        Ok::<_, AppError>(())
    };
    if let Err(error) = given_back.await {
        tracing::warn!(%error, "deliveries could not be given back; they are due when their lease has run out");
    }
}

/// Whether all of them are new.
async fn write(tx: &Tx, mut rows: Vec<entity::delivery::ActiveModel>) -> Result<bool, AppError> {
    let (wanted, mut written) = (rows.len() as u64, 0);
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(ROWS));
        let once = OnConflict::columns([Delivered::WebhookId, Delivered::EventId])
            .do_nothing()
            .to_owned();
        written += entity::Delivery::insert_many(std::mem::replace(&mut rows, rest))
            .on_conflict(once)
            .exec_without_returning(tx)
            .await?;
    }
    Ok(written == wanted)
}

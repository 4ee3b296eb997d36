//! From events to deliveries: each enabled webhook of an event's workspace whose types, mode and filters match gets
//! one, in the transaction that dispatches the event.

use std::collections::{HashMap, HashSet};

use app::db::entity::delivery::Column as Delivered;
use app::db::{Tx, entity};
use app::domain::{AppError, DeliveryId, Timestamp, WorkspaceId};
use app::house::House;
use app::live::{Hint, Topic};
use app::settings::webhooks::model::Status;
use app::settings::webhooks::{deliveries::new_delivery, wants::Wants};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

/// How many rows one statement inserts. Each has fifteen values, and SQLite takes 32,766 in a statement.
const ROWS: usize = 500;

/// A webhook, with what is to be read of it read once for many events.
struct Listener {
    row: entity::webhook::Model,
    wants: Wants,
}

/// Writes the deliveries of a batch of events. A repeat adds nothing.
pub async fn fan_out(
    tx: &mut Tx,
    _house: &House,
    events: &[entity::event::Model],
) -> Result<(), AppError> {
    let workspaces: HashSet<WorkspaceId> = events
        .iter()
        .filter_map(|event| event.workspace_id)
        .collect();
    if workspaces.is_empty() {
        return Ok(());
    }
    let listeners = listeners(tx, workspaces).await?;
    if listeners.is_empty() {
        return Ok(());
    }
    let now = Timestamp::now();
    let mut told = HashSet::new();
    let mut rows = Vec::new();
    for event in events {
        let Some(workspace) = event.workspace_id else {
            continue;
        };
        for listener in listeners.get(&workspace).into_iter().flatten() {
            let row = &listener.row;
            if listener.wants.verdict(event).is_err() {
                continue;
            }
            // What would wait anyway is not put before those who need not.
            let at = row.blocked_until.map_or(now, |until| until.max(now));
            rows.push(new_delivery(
                DeliveryId::new(),
                row.id,
                event.id,
                event.event_type,
                at,
            ));
            told.insert(workspace);
        }
    }
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(ROWS));
        let once = OnConflict::columns([Delivered::WebhookId, Delivered::EventId])
            .do_nothing()
            .to_owned();
        entity::Delivery::insert_many(std::mem::replace(&mut rows, rest))
            .on_conflict(once)
            .exec_without_returning(tx)
            .await?;
    }
    for workspace in told {
        tx.hint(Hint::workspace(workspace, Topic::Deliveries));
    }
    Ok(())
}

async fn listeners(
    tx: &Tx,
    workspaces: HashSet<WorkspaceId>,
) -> Result<HashMap<WorkspaceId, Vec<Listener>>, AppError> {
    use entity::webhook::Column;
    let rows = entity::Webhook::find()
        .filter(Column::WorkspaceId.is_in(workspaces))
        .filter(Column::Status.eq(Status::Enabled))
        .all(tx)
        .await?;
    let mut listeners: HashMap<WorkspaceId, Vec<Listener>> = HashMap::new();
    for row in rows {
        let listener = Listener {
            wants: Wants::from(&row),
            row,
        };
        listeners
            .entry(listener.row.workspace_id)
            .or_default()
            .push(listener);
    }
    Ok(listeners)
}

//! The events that the provider sends, which are stored first.

use std::time::Duration;

use domain::{AppError, Timestamp, days};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, Set};
use serde_json::{Value, json};

use crate::db::entity::{self, simulated_event};
use crate::db::{Db, Tx};
use crate::master_key::Token;

/// How long sent events are kept.
const MEMORY: Duration = days(90);

/// Stores an event for delivery.
pub(super) async fn to_be_told(
    tx: &Tx,
    event_type: &str,
    object: &Value,
    now: Timestamp,
) -> Result<(), AppError> {
    let id = format!("evt_{}", Token::generate().plain().expose());
    let body = json!({
        "id": id,
        "object": "event",
        "type": event_type,
        "created": now.millis() / 1000,
        "data": {"object": object},
    });
    simulated_event::ActiveModel {
        id: Set(id),
        body: Set(body.to_string()),
        created_at: Set(now),
        delivered_at: Set(None),
    }
    .insert(tx)
    .await?;
    Ok(())
}

/// Deletes old events.
pub async fn sweep(db: &Db) -> Result<u64, AppError> {
    let tx = db.begin().await?;
    let gone = entity::SimulatedEvent::delete_many()
        .filter(simulated_event::Column::DeliveredAt.lt(Timestamp::now().before(MEMORY)))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(gone.rows_affected)
}

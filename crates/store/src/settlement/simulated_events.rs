//! Delivers the events of the simulated provider, as any provider would send them.

use domain::payments::Choice;
use domain::{AppError, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::provider_webhook;
use crate::context::AppContext;
use crate::db::entity::{self, simulated_event};
use crate::payments::simulated::decide;

/// The maximum number of events in one round.
const BATCH_SIZE: u64 = 50;

/// Handles the choice on the page. Returns the path that the buyer came from.
pub async fn choose(ctx: &AppContext, id: &str, choice: Choice) -> Result<String, AppError> {
    let back = decide(ctx.db(), id, choice).await?;
    // The worker also delivers events, in case this call fails or never runs.
    if let Err(error) = deliver_events(ctx, Timestamp::now()).await {
        tracing::warn!(%error, "what was paid could not be told at once");
    }
    Ok(back)
}

/// Delivers the undelivered events, oldest first. Returns their number.
pub async fn deliver_events(ctx: &AppContext, now: Timestamp) -> Result<usize, AppError> {
    use simulated_event::Column;
    let untold = entity::SimulatedEvent::find()
        .filter(Column::DeliveredAt.is_null())
        .order_by_asc(Column::CreatedAt)
        .limit(BATCH_SIZE)
        .all(ctx.db().read())
        .await?;
    let secret = ctx.payments().signing_secret();
    for event in &untold {
        let second = Timestamp::now().millis() / 1000;
        let header = provider_webhook::sign(&secret, second, event.body.as_bytes());
        provider_webhook::handle_event(ctx, &header, event.body.as_bytes()).await?;
        let tx = ctx.db().begin().await?;
        entity::SimulatedEvent::update_many()
            .col_expr(Column::DeliveredAt, Expr::value(Some(now)))
            .filter(Column::Id.eq(&event.id))
            .exec(&tx)
            .await?;
        tx.commit().await?;
    }
    Ok(untold.len())
}

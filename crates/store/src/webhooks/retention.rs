//! Deletes old delivery data in small batches, so that no other writer waits for long.

use std::time::Duration;

use domain::{AppError, AttemptId, DeliveryId, Timestamp, days};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;

use crate::context::AppContext;
use crate::db::entity::{self, delivery, delivery_attempt};

/// How long headers and bodies of attempts are kept; after that, only their outcomes.
pub const KEEP_BODIES: Duration = days(30);
/// How long finished deliveries are kept.
pub const KEEP_DELIVERIES: Duration = days(90);
/// How long the hourly data for charts is kept.
const KEEP_HOURS: Duration = days(90);
const BATCH: u64 = 500;
const PAUSE: Duration = Duration::from_millis(50);

/// Deletes everything that is due and returns how many rows it changed.
pub async fn delete_expired(ctx: &AppContext) -> Result<u64, AppError> {
    let mut touched = 0;
    loop {
        let now = blank_bodies(ctx).await? + delete_old(ctx).await?;
        touched += now;
        if now == 0 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let oldest = Timestamp::now().before(KEEP_HOURS).millis() / 3_600_000;
    let tx = ctx.db().begin().await?;
    entity::WebhookHourlyStat::delete_many()
        .filter(entity::webhook_hourly_stat::Column::Hour.lt(oldest))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(touched)
}

async fn blank_bodies(ctx: &AppContext) -> Result<u64, AppError> {
    use delivery_attempt::Column;
    let ids: Vec<AttemptId> = entity::DeliveryAttempt::find()
        .filter(Column::RequestHeaders.is_not_null())
        .filter(Column::At.lt(Timestamp::now().before(KEEP_BODIES)))
        .order_by_asc(Column::At)
        .limit(BATCH)
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .all(ctx.db().read())
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let tx = ctx.db().begin().await?;
    let blanked = entity::DeliveryAttempt::update_many()
        .col_expr(Column::RequestHeaders, Expr::value(None::<Value>))
        .col_expr(Column::ResponseHeaders, Expr::value(None::<Value>))
        .col_expr(Column::ResponseBody, Expr::value(None::<String>))
        .filter(Column::Id.is_in(ids))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(blanked.rows_affected)
}

async fn delete_old(ctx: &AppContext) -> Result<u64, AppError> {
    use delivery::Column;
    let ids: Vec<DeliveryId> = entity::Delivery::find()
        .filter(Column::FinishedAt.lt(Timestamp::now().before(KEEP_DELIVERIES)))
        .order_by_asc(Column::FinishedAt)
        .limit(BATCH)
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .all(ctx.db().read())
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let tx = ctx.db().begin().await?;
    let deleted = entity::Delivery::delete_many()
        .filter(Column::Id.is_in(ids))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(deleted.rows_affected)
}

//! Records attempts, and counts them per hour for the charts.

use std::collections::BTreeMap;

use domain::{AppError, AttemptId, WebhookId};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{EntityTrait, Set};

use super::leased::Attempted;
use crate::db::{Tx, entity};
use crate::webhooks::attempt::AttemptResult;

const HOUR: i64 = 3_600_000;

pub(super) async fn write_attempts(tx: &Tx, tried: &[Attempted<'_>]) -> Result<(), AppError> {
    if tried.is_empty() {
        return Ok(());
    }
    let rows =
        tried.iter().map(
            |Attempted { held, report }| entity::delivery_attempt::ActiveModel {
                id: Set(AttemptId::new()),
                delivery_id: Set(held.id),
                number: Set(held.attempts + 1),
                at: Set(report.at),
                status_code: Set(report.status.map(i32::from)),
                error: Set(report.error.map(str::to_owned)),
                duration_ms: Set(milliseconds(report)),
                request_headers: Set(Some(report.request_headers.clone())),
                response_headers: Set(report.response_headers.clone()),
                response_body: Set(report.response_body.clone()),
            },
        );
    entity::DeliveryAttempt::insert_many(rows)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

fn milliseconds(report: &AttemptResult) -> i64 {
    i64::try_from(report.duration.as_millis()).unwrap_or(i64::MAX)
}

pub(super) async fn count_hours(tx: &Tx, tried: &[Attempted<'_>]) -> Result<(), AppError> {
    use entity::webhook_hourly_stat::{ActiveModel, Column};
    // Sorted, so that two processes that update the same hours cannot deadlock.
    let mut hours: BTreeMap<(WebhookId, i64), (i64, i64, i64, i64)> = BTreeMap::new();
    for Attempted { held, report } in tried.iter().filter(|tried| !tried.held.test) {
        let sum = hours
            .entry((held.webhook, report.at.millis().div_euclid(HOUR)))
            .or_default();
        if report.error.is_none() {
            sum.0 += 1;
        } else {
            sum.1 += 1;
        }
        sum.2 += milliseconds(report);
        sum.3 = sum.3.max(milliseconds(report));
    }
    if hours.is_empty() {
        return Ok(());
    }
    let rows = hours.into_iter().map(|((webhook, hour), sum)| ActiveModel {
        webhook_id: Set(webhook),
        hour: Set(hour),
        succeeded: Set(sum.0),
        failed: Set(sum.1),
        duration_ms: Set(sum.2),
        slowest_ms: Set(sum.3),
    });
    let added = |column: &'static str| {
        Expr::cust(format!("webhook_hourly_stats.{column} + excluded.{column}"))
    };
    let slowest = Expr::cust(
        "CASE WHEN excluded.slowest_ms > webhook_hourly_stats.slowest_ms THEN excluded.slowest_ms ELSE webhook_hourly_stats.slowest_ms END",
    );
    entity::WebhookHourlyStat::insert_many(rows)
        .on_conflict(
            OnConflict::columns([Column::WebhookId, Column::Hour])
                .value(Column::Succeeded, added("succeeded"))
                .value(Column::Failed, added("failed"))
                .value(Column::DurationMs, added("duration_ms"))
                .value(Column::SlowestMs, slowest)
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

//! Writes the outcomes of deliveries in one transaction, and schedules the next attempts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use domain::webhooks::DeliveryStatus;
use domain::{AppError, DeliveryId, Timestamp, Topic, WebhookId, WorkspaceId, hours};
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::Expr;

use super::attempts::{count_hours, write_attempts};
use super::deferrals::rounded;
use super::endpoint_health::record_health;
use super::leased::{Attempted, DeliveryOutcome, Leased};
use super::statements::{each, free};
use crate::context::AppContext;
use crate::db::Tx;
use crate::db::entity::delivery::Column;
use crate::live::Invalidation;
use crate::webhooks::attempt::AttemptResult;
use crate::webhooks::health::{Health, jittered};

/// The longest `Retry-After` that a receiver can request.
const MAX_RETRY_AFTER: Duration = hours(24);

/// Writes the outcomes of deliveries in one transaction and returns the current health of their endpoints.
pub async fn settle(
    ctx: &AppContext,
    waits: &[Duration],
    done: &[(Leased, DeliveryOutcome)],
    hinted: &BTreeSet<WorkspaceId>,
) -> Result<HashMap<WebhookId, Health>, AppError> {
    let mut tx = ctx.db().begin().await?;
    release_unsent(&tx, done).await?;
    let tried = finish(&tx, waits, done).await?;
    write_attempts(&tx, &tried).await?;
    count_hours(&tx, &tried).await?;
    let health = record_health(&mut tx, &tried).await?;
    for workspace in hinted {
        tx.invalidate(Invalidation::workspace(*workspace, Topic::Deliveries));
    }
    tx.commit().await?;
    Ok(health)
}

/// Reschedules or ends the deliveries that were not attempted.
async fn release_unsent(tx: &Tx, done: &[(Leased, DeliveryOutcome)]) -> Result<(), AppError> {
    let mut groups: BTreeMap<(Uuid, Option<Timestamp>, &str), Vec<DeliveryId>> = BTreeMap::new();
    let now = Timestamp::now();
    for (held, outcome) in done {
        let key = match outcome {
            DeliveryOutcome::Attempted(_) => continue,
            DeliveryOutcome::Later(at) => (held.lease, Some(rounded(*at, now)), ""),
            DeliveryOutcome::Cancelled => (held.lease, None, "cancelled"),
            DeliveryOutcome::Lost => (held.lease, None, "failed"),
        };
        groups.entry(key).or_default().push(held.id);
    }
    for ((lease, at, end), ids) in groups {
        let status = match end {
            "cancelled" => DeliveryStatus::Cancelled,
            "failed" => DeliveryStatus::Failed,
            _ => DeliveryStatus::Pending,
        };
        let ended = at.is_none().then(Timestamp::now);
        let error = (end == "failed").then(|| "event_gone".to_owned());
        let mut update = free(lease, ids)
            .col_expr(Column::Status, Expr::value(status))
            .col_expr(Column::NextAttemptAt, Expr::value(at))
            .col_expr(Column::FinishedAt, Expr::value(ended));
        if error.is_some() {
            update = update.col_expr(Column::LastError, Expr::value(error));
        }
        update.exec(tx).await?;
    }
    Ok(())
}

/// How attempts end: lease, status, error, and whether there is another attempt.
type End = (Uuid, Option<u16>, Option<&'static str>, bool);

async fn finish<'a>(
    tx: &Tx,
    waits: &[Duration],
    done: &'a [(Leased, DeliveryOutcome)],
) -> Result<Vec<Attempted<'a>>, AppError> {
    let now = Timestamp::now();
    // Attempts with the same outcome are written in one statement.
    let mut groups: BTreeMap<End, Vec<(DeliveryId, Option<Timestamp>)>> = BTreeMap::new();
    for (held, outcome) in done {
        if let DeliveryOutcome::Attempted(report) = outcome {
            let next = next_attempt(waits, held, report, now);
            groups
                .entry((held.lease, report.status, report.error, next.is_some()))
                .or_default()
                .push((held.id, next));
        }
    }
    let mut counted = HashSet::new();
    for ((lease, status, error, again), attempts) in groups {
        let end = match (error, again) {
            (None, _) => DeliveryStatus::Delivered,
            (Some(_), true) => DeliveryStatus::Pending,
            (Some(_), false) => DeliveryStatus::Failed,
        };
        let finished = (end != DeliveryStatus::Pending).then_some(now);
        let next = if again {
            each(Column::Id, &attempts)
        } else {
            Expr::value(None::<Timestamp>)
        };
        let ids = attempts.into_iter().map(|(id, _)| id).collect();
        let rows = free(lease, ids)
            .col_expr(Column::Status, Expr::value(end))
            .col_expr(Column::Attempts, Expr::cust("attempts + 1"))
            .col_expr(Column::NextAttemptAt, next)
            .col_expr(Column::LastStatusCode, Expr::value(status.map(i32::from)))
            .col_expr(Column::LastError, Expr::value(error.map(str::to_owned)))
            .col_expr(Column::FinishedAt, Expr::value(finished))
            .exec_with_returning(tx)
            .await?;
        counted.extend(rows.into_iter().map(|row| row.id));
    }
    let tried = done.iter().filter_map(|(held, outcome)| match outcome {
        DeliveryOutcome::Attempted(report) if counted.contains(&held.id) => {
            Some(Attempted { held, report })
        }
        _ => None,
    });
    Ok(tried.collect())
}

/// When a failed delivery is attempted again, if at all.
fn next_attempt(
    waits: &[Duration],
    held: &Leased,
    report: &AttemptResult,
    now: Timestamp,
) -> Option<Timestamp> {
    if report.error.is_none() || held.test || report.error == Some("gone") {
        return None;
    }
    let tries = usize::try_from(held.attempts - held.scheduled_from).ok()?;
    let wait = jittered(*waits.get(tries)?);
    let asked = report
        .retry_after
        .map_or(Duration::ZERO, Duration::from_secs)
        .min(MAX_RETRY_AFTER);
    Some(now.after(wait.max(asked)))
}

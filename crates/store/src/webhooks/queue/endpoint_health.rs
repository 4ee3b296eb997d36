//! The health of endpoints after attempts, and when an endpoint that fails is disabled.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use domain::webhooks::Status;
use domain::{AppError, Timestamp, WebhookId, days};
use sea_orm::sea_query::LockType;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::leased::Attempted;
use super::statements::each;
use crate::auth::Unattended;
use crate::db::{Tx, entity};
use crate::webhooks;
use crate::webhooks::attempt::AttemptResult;
use crate::webhooks::health::{Health, pause_after};

/// An endpoint is disabled when every attempt fails for this long, and at least this often.
const GIVE_UP_AFTER: Duration = days(5);
const GIVE_UP_FAILURES: i32 = 10;
/// The minimum interval between recorded successes of a healthy endpoint.
const NOTE_SUCCESS: Duration = Duration::from_mins(1);

pub fn health(row: &entity::webhook::Model) -> Health {
    Health {
        failures: row.failures,
        circuit_open_until: row.circuit_open_until,
        succeeded: row.last_success_at.is_some(),
    }
}

/// Summarizes an endpoint's attempts in one turn: whether any succeeded, how many failed since then, and whether it
/// returned 410 Gone.
struct AttemptSummary {
    good: bool,
    failed: i32,
    gone: bool,
}

impl AttemptSummary {
    fn of(mut reports: Vec<&AttemptResult>) -> Self {
        reports.sort_by_key(|report| report.at.after(report.duration));
        let failed = reports
            .iter()
            .rev()
            .take_while(|report| report.error.is_some())
            .count();
        Self {
            good: failed < reports.len(),
            failed: i32::try_from(failed).unwrap_or(i32::MAX),
            gone: reports.iter().any(|report| report.error == Some("gone")),
        }
    }

    /// Adds to a webhook's consecutive failures, or resets them. Returns false if no change is worth writing.
    fn apply(&self, row: &mut entity::webhook::Model, now: Timestamp) -> bool {
        let noted = row
            .last_success_at
            .is_some_and(|at| now.since(at) < NOTE_SUCCESS);
        if self.good && self.failed == 0 && row.failures == 0 && noted {
            return false;
        }
        if self.good {
            (row.failures, row.failing_since) = (0, None);
            row.last_success_at = Some(now);
        }
        row.failures = row.failures.saturating_add(self.failed);
        if self.failed > 0 {
            row.failing_since = row.failing_since.or(Some(now));
        }
        row.circuit_open_until = pause_after(row.failures, now);
        true
    }
}

/// Updates the health of endpoints after these attempts; disables endpoints that failed for too long.
pub(super) async fn record_health(
    tx: &mut Tx,
    tried: &[Attempted<'_>],
) -> Result<HashMap<WebhookId, Health>, AppError> {
    let mut reports: BTreeMap<WebhookId, Vec<&AttemptResult>> = BTreeMap::new();
    for Attempted { held, report } in tried.iter().filter(|tried| !tried.held.test) {
        reports.entry(held.webhook).or_default().push(report);
    }
    if reports.is_empty() {
        return Ok(HashMap::new());
    }
    let verdicts: BTreeMap<_, _> = reports
        .into_iter()
        .map(|(id, reports)| (id, AttemptSummary::of(reports)))
        .collect();
    let now = Timestamp::now();
    let rows = save_health(tx, &verdicts, now).await?;
    for row in &rows {
        let hopeless = row.failures >= GIVE_UP_FAILURES
            && row
                .failing_since
                .is_some_and(|since| now.since(since) >= GIVE_UP_AFTER);
        if verdicts[&row.id].gone {
            webhooks::disable(
                Unattended::Worker,
                tx,
                row.id,
                "The endpoint returned 410 Gone",
            )
            .await?;
        } else if hopeless {
            let reason = format!(
                "All {} attempts in the last {} days failed",
                row.failures,
                now.since(row.failing_since.unwrap_or(now)).as_secs() / 86_400
            );
            webhooks::disable(Unattended::Worker, tx, row.id, &reason).await?;
        }
    }
    Ok(rows.iter().map(|row| (row.id, health(row))).collect())
}

/// Writes health changes in one statement, and only those that changed. Returns the webhooks as they are now.
async fn save_health(
    tx: &Tx,
    verdicts: &BTreeMap<WebhookId, AttemptSummary>,
    now: Timestamp,
) -> Result<Vec<entity::webhook::Model>, AppError> {
    use entity::webhook::Column;
    let rows = entity::Webhook::find()
        .filter(Column::Id.is_in(verdicts.keys().copied()))
        .all(tx)
        .await?;
    let (stale, mut rows): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .partition(|row| verdicts[&row.id].apply(&mut row.clone(), now));
    if stale.is_empty() {
        return Ok(rows);
    }
    // Sorted, so that two processes that update the same webhooks cannot deadlock.
    let mut changed = entity::Webhook::find()
        .filter(Column::Id.is_in(stale.iter().map(|row| row.id)))
        .order_by_asc(Column::Id)
        .lock(LockType::Update)
        .all(tx)
        .await?;
    if changed.is_empty() {
        return Ok(rows);
    }
    for row in &mut changed {
        verdicts[&row.id].apply(row, now);
    }
    let failures: Vec<_> = changed.iter().map(|row| (row.id, row.failures)).collect();
    let of = |time: fn(&entity::webhook::Model) -> Option<Timestamp>| {
        let times: Vec<_> = changed.iter().map(|row| (row.id, time(row))).collect();
        each(Column::Id, &times)
    };
    entity::Webhook::update_many()
        .col_expr(Column::Failures, each(Column::Id, &failures))
        .col_expr(Column::FailingSince, of(|row| row.failing_since))
        .col_expr(Column::CircuitOpenUntil, of(|row| row.circuit_open_until))
        .col_expr(Column::LastSuccessAt, of(|row| row.last_success_at))
        .filter(Column::Id.is_in(changed.iter().map(|row| row.id)))
        .exec(tx)
        .await?;
    rows.extend(changed);
    Ok(rows)
}

/// Whether the webhook receives deliveries.
pub fn is_open(row: &entity::webhook::Model) -> bool {
    row.status == Status::Enabled
}

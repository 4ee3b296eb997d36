//! The table of deliveries as a queue: what is due is claimed by a lease, many at once; what became of it is written
//! down, many at once, and only by whoever still holds the lease. While a delivery is claimed its next attempt is due
//! when the lease ends, so that the index of due deliveries is a true schedule.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use app::db::entity::{self, delivery::Column};
use app::db::{Db, Tx};
use app::domain::{
    AppError, AttemptId, DeliveryId, EventId, Timestamp, WebhookId, WorkspaceId, days, hours,
};
use app::house::House;
use app::live::{Hint, Topic};
use app::settings::webhooks::model::{DeliveryStatus, Status};
use app::settings::webhooks::store;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, LockBehavior, LockType, OnConflict, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Set};

use super::attempt::Report;
use super::endpoints::{Health, jittered, pause_after};

/// How long a claim holds: a turn in the queue, the attempt itself, and writing it down.
pub const LEASE: Duration = Duration::from_secs(90);
/// A receiver may ask us to wait so long and no longer.
const LONGEST_RETRY_AFTER: Duration = hours(24);
/// An endpoint is disabled when everything failed for so long, and at least so often.
const GIVE_UP_AFTER: Duration = days(5);
const GIVE_UP_FAILURES: i32 = 10;
/// How many deliveries are put off in one statement.
const PUT_OFF: u64 = 1_000;
/// A success is noted once in so long, as long as all goes well.
const NOTE_SUCCESS: Duration = Duration::from_mins(1);
const HOUR: i64 = 3_600_000;

/// What was claimed, and under which lease.
pub struct Claim {
    pub lease: Uuid,
    pub until: Timestamp,
    pub deliveries: Vec<entity::delivery::Model>,
    pub webhooks: HashMap<WebhookId, entity::webhook::Model>,
    pub events: HashMap<EventId, entity::event::Model>,
}

/// A delivery that this worker holds.
#[derive(Clone, Debug)]
pub struct Held {
    pub id: DeliveryId,
    pub webhook: WebhookId,
    pub workspace: WorkspaceId,
    pub lease: Uuid,
    pub attempts: i32,
    pub scheduled_from: i32,
    /// A sample: one attempt, and nothing follows from how it ends.
    pub test: bool,
}

/// What became of it.
pub enum Outcome {
    Tried(Report),
    /// Not tried; to be looked at again at this time.
    Later(Timestamp),
    /// Its webhook is enabled no more.
    Cancelled,
    /// There is nothing to send: its event is gone.
    Lost,
}

pub fn health(row: &entity::webhook::Model) -> Health {
    Health {
        failures: row.failures,
        blocked_until: row.blocked_until,
        succeeded: row.last_success_at.is_some(),
    }
}

fn due(now: Timestamp) -> Select<entity::Delivery> {
    entity::Delivery::find()
        .filter(Column::Status.eq(DeliveryStatus::Pending))
        .filter(Column::NextAttemptAt.lte(now))
}

/// Takes due deliveries for this worker alone, but none for the endpoints that are `full`.
pub async fn claim(
    house: &House,
    most: usize,
    full: &[WebhookId],
) -> Result<Option<Claim>, AppError> {
    let (db, now) = (house.db(), Timestamp::now());
    let mut wanted = due(now)
        .order_by_asc(Column::NextAttemptAt)
        .limit(most as u64)
        .select_only()
        .column(Column::Id);
    if !full.is_empty() {
        wanted = wanted.filter(Column::WebhookId.is_not_in(full.iter().copied()));
    }
    // Most of the time nothing is due: look before taking SQLite's only write lock.
    let any: Option<DeliveryId> = wanted.clone().limit(1).into_tuple().one(db.read()).await?;
    if any.is_none() {
        return Ok(None);
    }
    let (lease, until) = (Uuid::new_v4(), now.after(LEASE));
    let tx = db.begin().await?;
    // Locked first and changed then: one statement might look for what is due more than once, and take too many.
    let ids: Vec<DeliveryId> = wanted
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(&tx)
        .await?;
    let deliveries = entity::Delivery::update_many()
        .col_expr(Column::LeaseToken, Expr::value(lease))
        .col_expr(Column::LeaseUntil, Expr::value(until))
        .col_expr(Column::NextAttemptAt, Expr::value(until))
        .filter(Column::Id.is_in(ids))
        .exec_with_returning(&tx)
        .await?;
    tx.commit().await?;
    let (webhooks, events) = with(db, &deliveries).await?;
    Ok(Some(Claim {
        lease,
        until,
        deliveries,
        webhooks,
        events,
    }))
}

type Webhooks = HashMap<WebhookId, entity::webhook::Model>;
type Events = HashMap<EventId, entity::event::Model>;

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
        webhooks.into_iter().map(|row| (row.id, row)).collect(),
        events.into_iter().map(|row| (row.id, row)).collect(),
    ))
}

/// Puts off what waits for these webhooks, a bounded number of them, so that what is due is what can be sent.
pub async fn put_off(tx: &Tx, webhooks: &BTreeMap<WebhookId, Timestamp>) -> Result<(), AppError> {
    for (id, until) in webhooks {
        let waiting = Query::select()
            .column(Column::Id)
            .from(entity::delivery::Entity)
            .and_where(Column::WebhookId.eq(*id))
            .and_where(Column::Status.eq(DeliveryStatus::Pending))
            .and_where(Column::NextAttemptAt.lt(*until))
            .and_where(Column::LeaseToken.is_null())
            .and_where(Column::Payload.is_null())
            .limit(PUT_OFF)
            .take();
        entity::Delivery::update_many()
            .col_expr(Column::NextAttemptAt, Expr::value(*until))
            .filter(Column::Id.in_subquery(waiting))
            .filter(Column::Status.eq(DeliveryStatus::Pending))
            .filter(Column::LeaseToken.is_null())
            .exec(tx)
            .await?;
    }
    Ok(())
}

/// Writes down what became of deliveries, all in one transaction, and says how the endpoints fare now.
pub async fn settle(
    house: &House,
    waits: &[Duration],
    done: &[(Held, Outcome)],
    put_off_too: &BTreeMap<WebhookId, Timestamp>,
    hinted: &HashSet<WorkspaceId>,
) -> Result<HashMap<WebhookId, Health>, AppError> {
    let mut tx = house.db().begin().await?;
    release(&tx, done).await?;
    let tried = finish(&tx, waits, done).await?;
    write_attempts(&tx, &tried).await?;
    count_hours(&tx, &tried).await?;
    let health = judge(&mut tx, &tried).await?;
    put_off(&tx, put_off_too).await?;
    for workspace in hinted {
        tx.hint(Hint::workspace(*workspace, Topic::Deliveries));
    }
    tx.commit().await?;
    Ok(health)
}

/// What is put off need not come back to the millisecond. Rounded up, hundreds that find no room are written by a few
/// statements instead of one each, while everything else waits.
fn rounded(at: Timestamp, now: Timestamp) -> Timestamp {
    let step = match at.since(now).as_millis() {
        0 => return at,
        1..1_000 => 20,
        _ => 250,
    };
    Timestamp::from_millis((at.millis() + step - 1).div_euclid(step) * step)
}

/// What was not tried goes back into the schedule, or out of it.
async fn release(tx: &Tx, done: &[(Held, Outcome)]) -> Result<(), AppError> {
    let mut groups: BTreeMap<(Uuid, Option<Timestamp>, &str), Vec<DeliveryId>> = BTreeMap::new();
    let now = Timestamp::now();
    for (held, outcome) in done {
        let key = match outcome {
            Outcome::Tried(_) => continue,
            Outcome::Later(at) => (held.lease, Some(rounded(*at, now)), ""),
            Outcome::Cancelled => (held.lease, None, "cancelled"),
            Outcome::Lost => (held.lease, None, "failed"),
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

/// A change to deliveries that are still held under this lease; it gives the lease back. Only what is pending has a
/// lease, as the table itself makes sure of. To ask for it here too would lead PostgreSQL to the index of what is due,
/// which is small by its statistics and long by the entries of all that was due a moment ago.
fn free(lease: Uuid, ids: Vec<DeliveryId>) -> sea_orm::UpdateMany<entity::Delivery> {
    entity::Delivery::update_many()
        .col_expr(Column::LeaseToken, Expr::value(None::<Uuid>))
        .col_expr(Column::LeaseUntil, Expr::value(None::<Timestamp>))
        .filter(Column::Id.is_in(ids))
        .filter(Column::LeaseToken.eq(lease))
}

/// An attempt whose outcome counts: the lease still held.
struct Tried<'a> {
    held: &'a Held,
    report: &'a Report,
}

/// How attempts end: lease, status, error, and when the next is made.
type End = (Uuid, Option<u16>, Option<&'static str>, Option<Timestamp>);

async fn finish<'a>(
    tx: &Tx,
    waits: &[Duration],
    done: &'a [(Held, Outcome)],
) -> Result<Vec<Tried<'a>>, AppError> {
    let now = Timestamp::now();
    // What ends alike is written alike, in one statement.
    let mut groups: BTreeMap<End, Vec<DeliveryId>> = BTreeMap::new();
    for (held, outcome) in done {
        if let Outcome::Tried(report) = outcome {
            let next = next_attempt(waits, held, report, now);
            groups
                .entry((held.lease, report.status, report.error, next))
                .or_default()
                .push(held.id);
        }
    }
    let mut counted = HashSet::new();
    for ((lease, status, error, next), ids) in groups {
        let end = match (error, next) {
            (None, _) => DeliveryStatus::Delivered,
            (Some(_), Some(_)) => DeliveryStatus::Pending,
            (Some(_), None) => DeliveryStatus::Failed,
        };
        let finished = (end != DeliveryStatus::Pending).then_some(now);
        let rows = free(lease, ids)
            .col_expr(Column::Status, Expr::value(end))
            .col_expr(Column::Attempts, Expr::cust("attempts + 1"))
            .col_expr(Column::NextAttemptAt, Expr::value(next))
            .col_expr(Column::LastStatusCode, Expr::value(status.map(i32::from)))
            .col_expr(Column::LastError, Expr::value(error.map(str::to_owned)))
            .col_expr(Column::FinishedAt, Expr::value(finished))
            .exec_with_returning(tx)
            .await?;
        counted.extend(rows.into_iter().map(|row| row.id));
    }
    let tried = done.iter().filter_map(|(held, outcome)| match outcome {
        Outcome::Tried(report) if counted.contains(&held.id) => Some(Tried { held, report }),
        _ => None,
    });
    Ok(tried.collect())
}

/// When a failed delivery is tried again, if ever.
fn next_attempt(
    waits: &[Duration],
    held: &Held,
    report: &Report,
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
        .min(LONGEST_RETRY_AFTER);
    Some(now.after(wait.max(asked)))
}

async fn write_attempts(tx: &Tx, tried: &[Tried<'_>]) -> Result<(), AppError> {
    if tried.is_empty() {
        return Ok(());
    }
    let rows = tried.iter().map(
        |Tried { held, report }| entity::delivery_attempt::ActiveModel {
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

fn milliseconds(report: &Report) -> i64 {
    i64::try_from(report.duration.as_millis()).unwrap_or(i64::MAX)
}

async fn count_hours(tx: &Tx, tried: &[Tried<'_>]) -> Result<(), AppError> {
    use entity::webhook_hour::{ActiveModel, Column};
    // In order, so that two processes that count the same hours do not wait for each other in a circle.
    let mut hours: BTreeMap<(WebhookId, i64), (i64, i64, i64, i64)> = BTreeMap::new();
    for Tried { held, report } in tried.iter().filter(|tried| !tried.held.test) {
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
    let added =
        |column: &'static str| Expr::cust(format!("webhook_hours.{column} + excluded.{column}"));
    let slowest = Expr::cust(
        "CASE WHEN excluded.slowest_ms > webhook_hours.slowest_ms THEN excluded.slowest_ms ELSE webhook_hours.slowest_ms END",
    );
    entity::WebhookHour::insert_many(rows)
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

/// How the endpoints fare after these attempts; those that failed for too long are disabled.
async fn judge(tx: &mut Tx, tried: &[Tried<'_>]) -> Result<HashMap<WebhookId, Health>, AppError> {
    let mut reports: BTreeMap<WebhookId, Vec<&Report>> = BTreeMap::new();
    for Tried { held, report } in tried.iter().filter(|tried| !tried.held.test) {
        reports.entry(held.webhook).or_default().push(report);
    }
    let mut fares = HashMap::new();
    for (id, mut reports) in reports {
        reports.sort_by_key(|report| report.at.after(report.duration));
        let gone = reports.iter().any(|report| report.error == Some("gone"));
        let failed = reports
            .iter()
            .rev()
            .take_while(|report| report.error.is_some())
            .count();
        let good = failed < reports.len();
        let failed = i32::try_from(failed).unwrap_or(i32::MAX);
        let Some(row) = note(tx, id, good, failed).await? else {
            continue;
        };
        fares.insert(id, health(&row));
        let now = Timestamp::now();
        let hopeless = row.failures >= GIVE_UP_FAILURES
            && row
                .failing_since
                .is_some_and(|since| now.since(since) >= GIVE_UP_AFTER);
        if gone {
            store::disable(tx, id, "The receiver answered 410 Gone").await?;
        } else if hopeless {
            let reason = format!(
                "All {} attempts of the last {} days failed",
                row.failures,
                now.since(row.failing_since.unwrap_or(now)).as_secs() / 86_400
            );
            store::disable(tx, id, &reason).await?;
        }
    }
    Ok(fares)
}

/// Adds to a webhook's failures in a row, or ends the row. Nothing is written where nothing changes.
async fn note(
    tx: &Tx,
    id: WebhookId,
    good: bool,
    failed: i32,
) -> Result<Option<entity::webhook::Model>, AppError> {
    use entity::webhook::Column;
    let now = Timestamp::now();
    let found = entity::Webhook::find_by_id(id).one(tx).await?;
    let Some(mut row) = found else {
        return Ok(None);
    };
    let noted = row
        .last_success_at
        .is_some_and(|at| now.since(at) < NOTE_SUCCESS);
    if good && failed == 0 && row.failures == 0 && noted {
        return Ok(Some(row));
    }
    if good {
        (row.failures, row.failing_since) = (0, None);
        row.last_success_at = Some(now);
    }
    row.failures = row.failures.saturating_add(failed);
    if failed > 0 {
        row.failing_since = row.failing_since.or(Some(now));
    }
    row.blocked_until = pause_after(row.failures, now);
    entity::Webhook::update_many()
        .col_expr(Column::Failures, Expr::value(row.failures))
        .col_expr(Column::FailingSince, Expr::value(row.failing_since))
        .col_expr(Column::BlockedUntil, Expr::value(row.blocked_until))
        .col_expr(Column::LastSuccessAt, Expr::value(row.last_success_at))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(Some(row))
}

/// Whether a webhook gets anything at all.
pub fn is_open(row: &entity::webhook::Model) -> bool {
    row.status == Status::Enabled
}

//! The delivery table as a queue. A worker claims batches of due deliveries with a lease and writes their outcomes in
//! batches, only while it still has the lease. While a delivery is leased, its next attempt is due when the lease
//! ends, so the index of due deliveries is an accurate schedule.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::webhooks::{DeliveryStatus, Status};
use domain::{
    AppError, AttemptId, DeliveryId, EventId, Timestamp, Topic, WebhookId, WorkspaceId, days, hours,
};
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{
    CaseStatement, Condition, Expr, LockBehavior, LockType, OnConflict, Query,
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Set, TryIntoModel,
    Value,
};

use crate::context::AppContext;
use crate::db::entity::delivery::Column;
use crate::db::{Db, Tx, entity};
use crate::live::Invalidation;
use crate::webhooks;
use crate::webhooks::attempt::AttemptResult;
use crate::webhooks::health::{FAILING_QUEUE_SIZE, Health, jittered, pause_after};

/// A webhook, as its row says.
pub use crate::db::entity::webhook::Model as WebhookRow;

/// How long a lease lasts: it covers the wait in the queue, the attempt and writing the outcome.
pub const LEASE: Duration = Duration::from_secs(90);
/// The longest `Retry-After` that a receiver can request.
const MAX_RETRY_AFTER: Duration = hours(24);
/// An endpoint is disabled when every attempt fails for this long, and at least this often.
const GIVE_UP_AFTER: Duration = days(5);
const GIVE_UP_FAILURES: i32 = 10;
/// How many deliveries are deferred at a time because their endpoints are full, and how many because the failing queue
/// is full.
const PUT_OFF: u64 = 1_000;
/// How many deliveries one transaction defers, and the pause before the next one so that others can write.
const BATCH_SIZE: usize = 32;
const BATCH_PAUSE: Duration = Duration::from_millis(5);
/// The minimum interval between recorded successes of a healthy endpoint.
const NOTE_SUCCESS: Duration = Duration::from_mins(1);
const HOUR: i64 = 3_600_000;

/// The claimed deliveries and their lease.
pub struct ClaimedBatch {
    pub lease: Uuid,
    pub until: Timestamp,
    pub deliveries: Vec<entity::delivery::Model>,
    pub webhooks: Webhooks,
    pub events: Events,
}

/// A delivery that this worker has leased.
#[derive(Clone, Debug)]
pub struct Leased {
    pub id: DeliveryId,
    pub webhook: WebhookId,
    pub workspace: WorkspaceId,
    pub lease: Uuid,
    pub attempts: i32,
    pub scheduled_from: i32,
    /// A test delivery: it gets one attempt, and its outcome has no effect.
    pub test: bool,
}

/// The outcome of a leased delivery.
pub enum DeliveryOutcome {
    Attempted(AttemptResult),
    /// Not attempted; due again at this time.
    Later(Timestamp),
    /// Its webhook is no longer enabled.
    Cancelled,
    /// Its event no longer exists, so there is nothing to send.
    Lost,
}

impl ClaimedBatch {
    /// Creates an empty batch.
    pub fn new(ctx: &AppContext, now: Timestamp) -> Self {
        Self {
            lease: ctx.leases().token(),
            until: now.after(LEASE),
            deliveries: Vec::new(),
            webhooks: HashMap::new(),
            events: HashMap::new(),
        }
    }

    /// Leases a delivery that is about to be inserted.
    pub fn lease(
        &mut self,
        delivery: &mut entity::delivery::ActiveModel,
        webhook: &Arc<entity::webhook::Model>,
        event: &Arc<entity::event::Model>,
    ) -> Result<(), AppError> {
        delivery.lease_token = Set(Some(self.lease));
        delivery.lease_until = Set(Some(self.until));
        delivery.next_attempt_at = Set(Some(self.until));
        self.deliveries.push(delivery.clone().try_into_model()?);
        self.webhooks
            .entry(webhook.id)
            .or_insert_with(|| webhook.clone());
        self.events.entry(event.id).or_insert_with(|| event.clone());
        Ok(())
    }
}

pub fn health(row: &entity::webhook::Model) -> Health {
    Health {
        failures: row.failures,
        circuit_open_until: row.circuit_open_until,
        succeeded: row.last_success_at.is_some(),
    }
}

fn due(now: Timestamp) -> Select<entity::Delivery> {
    entity::Delivery::find()
        .filter(Column::Status.eq(DeliveryStatus::Pending))
        .filter(Column::NextAttemptAt.lte(now))
}

/// Whether the delivery's webhook meets this condition.
fn webhook(is: Condition) -> Expr {
    use entity::webhook;
    use sea_orm::ExprTrait;
    let such = Query::select()
        .expr(Expr::val(1))
        .from(webhook::Entity)
        .and_where(
            Expr::col((webhook::Entity, webhook::Column::Id))
                .equals(Column::WebhookId.as_column_ref()),
        )
        .cond_where(is)
        .take();
    Expr::exists(such)
}

/// Matches webhooks for which `Health::is_suspect` holds.
fn suspect() -> Condition {
    use entity::webhook::Column;
    Condition::any()
        .add(Column::Failures.gt(0))
        .add(Column::LastSuccessAt.is_null())
}

/// How many deliveries a claim takes from each queue. It takes none for the endpoints in `full`.
#[derive(Clone, Debug)]
pub struct ClaimLimits {
    /// Includes test deliveries, which never wait.
    pub healthy: usize,
    pub suspect: usize,
    pub full: Vec<WebhookId>,
}

impl ClaimLimits {
    fn healthy(&self, now: Timestamp) -> Select<entity::Delivery> {
        let wanted = Condition::any()
            .add(Column::Payload.is_not_null())
            .add(self.regular(suspect().not()));
        first(due(now).filter(wanted), self.healthy)
    }

    fn suspect(&self, now: Timestamp) -> Select<entity::Delivery> {
        use entity::webhook::Column as Of;
        let open = Condition::any()
            .add(Of::CircuitOpenUntil.is_null())
            .add(Of::CircuitOpenUntil.lte(now));
        let wanted = self.regular(Condition::all().add(suspect()).add(open));
        first(
            due(now).filter(Column::Payload.is_null()).filter(wanted),
            self.suspect,
        )
    }

    /// Webhooks that match the condition and are not full.
    fn regular(&self, such: Condition) -> Condition {
        let regular = Condition::all().add(webhook(such));
        if self.full.is_empty() {
            return regular;
        }
        regular.add(Column::WebhookId.is_not_in(self.full.iter().copied()))
    }
}

/// The IDs of the first `most` deliveries.
fn first(wanted: Select<entity::Delivery>, most: usize) -> Select<entity::Delivery> {
    wanted
        .order_by_asc(Column::NextAttemptAt)
        .limit(most as u64)
        .select_only()
        .column(Column::Id)
}

/// Leases due deliveries to this worker. Returns how many it found; another process may lease some of them first.
pub async fn claim(
    ctx: &AppContext,
    wanted: &ClaimLimits,
) -> Result<(usize, Option<ClaimedBatch>), AppError> {
    let (db, now) = (ctx.db(), Timestamp::now());
    // Selects before the transaction and checks again inside it: selecting from thousands of due deliveries takes
    // milliseconds, during which nobody else could write on SQLite.
    let mut found: Vec<DeliveryId> = Vec::new();
    for (most, wanted) in [
        (wanted.healthy, wanted.healthy(now)),
        (wanted.suspect, wanted.suspect(now)),
    ] {
        if most > 0 {
            found.extend(wanted.into_tuple::<DeliveryId>().all(db.read()).await?);
        }
    }
    if found.is_empty() {
        return Ok((0, None));
    }
    let count = found.len();
    let mut claim = ClaimedBatch::new(ctx, now);
    let tx = db.begin().await?;
    // Skip deliveries that another process has leased meanwhile or is about to lease.
    let ids: Vec<DeliveryId> = due(now)
        .filter(Column::Id.is_in(found))
        .select_only()
        .column(Column::Id)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(&tx)
        .await?;
    claim.deliveries = entity::Delivery::update_many()
        .col_expr(Column::LeaseToken, Expr::value(claim.lease))
        .col_expr(Column::LeaseUntil, Expr::value(claim.until))
        .col_expr(Column::NextAttemptAt, Expr::value(claim.until))
        .filter(Column::Id.is_in(ids))
        .exec_with_returning(&tx)
        .await?;
    tx.commit().await?;
    (claim.webhooks, claim.events) = with(db, &claim.deliveries).await?;
    Ok((count, Some(claim)))
}

/// Releases every delivery of a claim, so that it is due immediately.
pub async fn release(tx: &Tx, claim: &ClaimedBatch) -> Result<(), AppError> {
    let ids = claim.deliveries.iter().map(|row| row.id).collect();
    free(claim.lease, ids)
        .col_expr(Column::NextAttemptAt, Expr::value(Timestamp::now()))
        .exec(tx)
        .await?;
    Ok(())
}

type Webhooks = HashMap<WebhookId, Arc<entity::webhook::Model>>;
type Events = HashMap<EventId, Arc<entity::event::Model>>;

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
        webhooks
            .into_iter()
            .map(|row| (row.id, Arc::new(row)))
            .collect(),
        events
            .into_iter()
            .map(|row| (row.id, Arc::new(row)))
            .collect(),
    ))
}

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

/// Rounds up the time of a deferred delivery, which need not be exact to the millisecond. A few statements can then
/// write hundreds of deferrals, instead of one statement each while other work waits.
fn rounded(at: Timestamp, now: Timestamp) -> Timestamp {
    let step = match at.since(now).as_millis() {
        0 => return at,
        1..1_000 => 20,
        _ => 250,
    };
    Timestamp::from_millis((at.millis() + step - 1).div_euclid(step) * step)
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

/// Updates deliveries that this lease still covers, and releases the lease. A table constraint ensures that only
/// pending deliveries have a lease. Filtering by status as well would lead PostgreSQL to use the index of due
/// deliveries: its statistics say it is small, but it holds entries for all recently due rows.
fn free(lease: Uuid, ids: Vec<DeliveryId>) -> sea_orm::UpdateMany<entity::Delivery> {
    entity::Delivery::update_many()
        .col_expr(Column::LeaseToken, Expr::value(None::<Uuid>))
        .col_expr(Column::LeaseUntil, Expr::value(None::<Timestamp>))
        .filter(Column::Id.is_in(ids))
        .filter(Column::LeaseToken.eq(lease))
}

/// An attempt whose outcome counts because the lease was still valid.
struct Attempted<'a> {
    held: &'a Leased,
    report: &'a AttemptResult,
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

/// Sets a separate value for each row in one statement.
fn each<K, V>(key: impl ColumnTrait, values: &[(K, V)]) -> Expr
where
    K: Into<Value> + Copy,
    V: Into<Value> + Copy,
{
    let mut each = CaseStatement::new();
    for (id, value) in values {
        each = each.case(key.eq(*id), Expr::value(*value));
    }
    each.into()
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

async fn write_attempts(tx: &Tx, tried: &[Attempted<'_>]) -> Result<(), AppError> {
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

async fn count_hours(tx: &Tx, tried: &[Attempted<'_>]) -> Result<(), AppError> {
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
async fn record_health(
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
            webhooks::disable(tx, row.id, "The endpoint returned 410 Gone").await?;
        } else if hopeless {
            let reason = format!(
                "All {} attempts in the last {} days failed",
                row.failures,
                now.since(row.failing_since.unwrap_or(now)).as_secs() / 86_400
            );
            webhooks::disable(tx, row.id, &reason).await?;
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

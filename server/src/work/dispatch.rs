//! The dispatcher: takes each event once and writes what follows from it, many events in one transaction. Unique keys
//! make a repeat harmless. An event that cannot be dispatched is put aside for a while, and the others go on. Those of
//! workspaces with many webhooks have a dispatcher of their own: nobody waits for a hundred deliveries to be written who
//! has one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use app::catalog::Mode;
use app::db::entity;
use app::domain::{AppError, EventId, Timestamp, WorkspaceId};
use app::house::House;
use entity::event::Column;
use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
};
use tokio_util::sync::CancellationToken;

use super::webhooks::Handover;
use super::webhooks::fan_out::{Listeners, Match, fan_out, give};
use super::{cue, notify};

/// How long to wait without a cue: for events of other processes, and after an error.
const IDLE: Duration = Duration::from_secs(1);
/// How many events one transaction takes: each of them would cost a commit of its own, which is what takes time.
const BATCH: u64 = 100;
/// How long to gather from the beginning of a batch that was not full to the next. Events that come one by one would
/// otherwise be taken one by one, and whatever is asked and written for a batch costs the same for one as for many.
const GATHER: Duration = Duration::from_millis(5);
/// After how long without a batch events are thought to come seldom: nothing is to be gathered then.
const SELDOM: Duration = Duration::from_millis(20);
/// How many webhooks a workspace has whose events are dispatched beside those of others, at most.
const FEW: u64 = 16;
/// How many deliveries are written in one transaction where an event has many.
const TOGETHER: usize = 16;
/// How long the dispatcher of such workspaces rests after it found nothing: every commit is a cue, and hardly any brings
/// something for it.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
/// How long an event that could not be dispatched is left alone, after the first failure, the second, and so on.
const WAITS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(1),
];
/// How many events are put aside at most. Each is named in the question for the others, and SQLite takes 32,766 values.
const MOST_ASIDE: usize = 10_000;

/// Whose events a dispatcher takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// Of workspaces with few webhooks, and of none.
    Narrow,
    /// Of workspaces with many.
    Wide,
}

/// `handover`: by which deliveries are given to the sender of this process.
pub async fn run(house: House, breadth: Breadth, handover: Handover, stop: CancellationToken) {
    let mut dispatcher = Dispatcher::new(house.clone(), breadth, handover);
    let mut commits = house.db().hub().commits();
    let mut last: Option<Instant> = None;
    loop {
        commits.mark_unchanged();
        let begun = Instant::now();
        match dispatcher.next_batch().await {
            Ok(taken @ 1..) if !stop.is_cancelled() => {
                let often = last.is_some_and(|last| begun - last < SELDOM);
                if often && (taken as u64) < BATCH {
                    tokio::time::sleep(GATHER.saturating_sub(begun.elapsed())).await;
                }
                last = Some(Instant::now());
                continue;
            }
            Ok(_) if breadth == Breadth::Wide => tokio::time::sleep(BETWEEN_LOOKS).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "events could not be dispatched; they will be tried again");
            }
        }
        if !cue(&mut commits, tokio::time::sleep(IDLE), &stop).await {
            return;
        }
    }
}

/// Dispatches every waiting event; what tests call instead of waiting.
pub async fn dispatch_all(house: &House) -> Result<(), AppError> {
    dispatch_to(house, &Handover::default()).await
}

/// The same, for whoever takes what is handed over.
pub async fn dispatch_to(house: &House, handover: &Handover) -> Result<(), AppError> {
    for breadth in [Breadth::Narrow, Breadth::Wide] {
        let mut dispatcher = Dispatcher::new(house.clone(), breadth, handover.clone());
        while dispatcher.next_batch().await? > 0 {}
    }
    Ok(())
}

struct Dispatcher {
    house: House,
    breadth: Breadth,
    handover: Handover,
    aside: Aside,
}

impl Dispatcher {
    fn new(house: House, breadth: Breadth, handover: Handover) -> Self {
        Self {
            house,
            breadth,
            handover,
            aside: Aside::default(),
        }
    }

    /// Takes the oldest waiting events and says how many. None: none waits.
    async fn next_batch(&mut self) -> Result<usize, AppError> {
        let aside = self.aside.at(Instant::now());
        // Most of the time nothing waits: look before taking SQLite's only write lock.
        let waiting = waiting(&self.house, self.breadth, aside).await?;
        if waiting.is_empty() {
            return Ok(0);
        }
        match self.attempt(waiting.clone()).await {
            Ok(taken) => {
                self.aside.forget(&taken);
                Ok(taken.len())
            }
            Err(error) => {
                tracing::warn!(%error, "a batch of events could not be dispatched; trying each alone");
                self.one_by_one(waiting).await
            }
        }
    }

    /// Dispatches these events; a panic on the way is a failure like another.
    async fn attempt(&self, waiting: Vec<Waiting>) -> Result<Vec<EventId>, AppError> {
        let (house, breadth, handover) = (self.house.clone(), self.breadth, self.handover.clone());
        tokio::spawn(async move { dispatch(&house, breadth, &handover, waiting).await })
            .await
            .unwrap_or_else(|panic| {
                tracing::error!(%panic, "dispatching events panicked");
                Err(AppError::Internal {
                    incident: "panic".to_owned(),
                })
            })
    }

    /// One of them stands in the way of all: finds out which, and lets the others pass.
    async fn one_by_one(&mut self, waiting: Vec<Waiting>) -> Result<usize, AppError> {
        let count = waiting.len();
        for (id, workspace) in waiting {
            match self.attempt(vec![(id, workspace)]).await {
                Ok(taken) => self.aside.forget(&taken),
                Err(error) => {
                    // The event is not to blame if the database is away.
                    self.house.db().read().ping().await?;
                    let wait = self.aside.put(id, Instant::now());
                    tracing::error!(event = %id, %error, ?wait, "an event cannot be dispatched; it is put aside");
                }
            }
        }
        Ok(count)
    }
}

/// An event that waits, and its workspace. No more of it is read here: one that cannot be read at all is still told from
/// the others.
type Waiting = (EventId, Option<WorkspaceId>);

/// The oldest that wait, but for those that are put aside.
async fn waiting(
    house: &House,
    breadth: Breadth,
    aside: Vec<EventId>,
) -> Result<Vec<Waiting>, AppError> {
    let such = match breadth {
        Breadth::Narrow => many_webhooks().not(),
        Breadth::Wide => many_webhooks(),
    };
    Ok(entity::Event::find()
        .filter(Column::DispatchedAt.is_null())
        .filter(such)
        .filter(Column::Id.is_not_in(aside))
        .order_by_asc(Column::Id)
        .limit(BATCH)
        .select_only()
        .column(Column::Id)
        .column(Column::WorkspaceId)
        .into_tuple()
        .all(house.db().read())
        .await?)
}

/// Whether an event's workspace has more than a few webhooks, of whatever status. They are not counted to the end.
fn many_webhooks() -> Expr {
    use entity::webhook;
    let one_more = Query::select()
        .expr(Expr::val(1))
        .from(webhook::Entity)
        .and_where(
            Expr::col((webhook::Entity, webhook::Column::WorkspaceId))
                .equals(Column::WorkspaceId.as_column_ref()),
        )
        .limit(1)
        .offset(FEW)
        .take();
    Expr::exists(one_more)
}

/// Writes what follows from these events, in the transaction that marks them as dispatched, and says which they were.
/// Every kind of consequence gets the whole batch, so that it can ask for what it needs once and write in bulk.
async fn dispatch(
    house: &House,
    breadth: Breadth,
    handover: &Handover,
    waiting: Vec<Waiting>,
) -> Result<Vec<EventId>, AppError> {
    let workspaces = waiting.iter().filter_map(|(_, place)| *place).collect();
    let listeners = Listeners::load(house.db(), workspaces).await?;
    let these = || {
        entity::Event::find()
            .filter(Column::Id.is_in(waiting.iter().map(|(id, _)| *id)))
            .filter(Column::DispatchedAt.is_null())
            .order_by_asc(Column::Id)
    };
    // While SQLite writes hundreds of rows, nobody else can write.
    let ahead = breadth == Breadth::Wide && house.db().backend() == DbBackend::Sqlite;
    if ahead {
        let events = these().all(house.db().read()).await?;
        fan_out_in_steps(house, handover, &listeners.matches(&events)).await?;
    }
    let mut tx = house.db().begin().await?;
    // On PostgreSQL another process may be at some of them: those are skipped.
    let events = these()
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(&tx)
        .await?;
    let taken: Vec<EventId> = events.iter().map(|event| event.id).collect();
    if taken.is_empty() {
        return Ok(taken);
    }
    let live: Vec<_> = events
        .iter()
        .filter(|event| event.mode == Mode::Live)
        .collect();
    notify::tell(&mut tx, house, &live).await?;
    let matches = listeners.matches(&events);
    for one in &matches {
        tx.hint(one.hint());
    }
    let claim = if ahead {
        None
    } else {
        fan_out(&tx, handover, &matches).await?
    };
    entity::Event::update_many()
        .col_expr(Column::DispatchedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.is_in(taken.iter().copied()))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    if let Some(claim) = claim {
        give(house, handover, claim).await;
    }
    Ok(taken)
}

/// Writes the deliveries of events that are still to be marked as dispatched. A crash in between leaves some of them, and a
/// repeat adds the others.
async fn fan_out_in_steps(
    house: &House,
    handover: &Handover,
    matches: &[Match<'_>],
) -> Result<(), AppError> {
    for some in matches.chunks(TOGETHER) {
        let tx = house.db().begin().await?;
        let claim = fan_out(&tx, handover, some).await?;
        tx.commit().await?;
        if let Some(claim) = claim {
            give(house, handover, claim).await;
        }
    }
    Ok(())
}

/// Events that could not be dispatched: how often they failed, and when they are tried again. Kept in memory: a new
/// process tries them at once, which is right after a repair.
#[derive(Default)]
struct Aside(HashMap<EventId, (usize, Instant)>);

impl Aside {
    /// Which are to be left alone at this moment.
    fn at(&self, now: Instant) -> Vec<EventId> {
        self.0
            .iter()
            .filter(|(_, (_, until))| *until > now)
            .map(|(id, _)| *id)
            .collect()
    }

    fn put(&mut self, id: EventId, now: Instant) -> Duration {
        if self.0.len() >= MOST_ASIDE && !self.0.contains_key(&id) {
            let next = self.0.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(next) = next.map(|(id, _)| *id) {
                self.0.remove(&next);
            }
        }
        let (failures, until) = self.0.entry(id).or_insert((0, now));
        let wait = WAITS[(*failures).min(WAITS.len() - 1)];
        *failures += 1;
        *until = now + wait;
        wait
    }

    fn forget(&mut self, ids: &[EventId]) {
        for id in ids {
            self.0.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_again_waits_longer_and_is_tried_at_last() {
        let (mut aside, now, id) = (Aside::default(), Instant::now(), EventId::new());
        assert_eq!(aside.put(id, now), WAITS[0]);
        assert_eq!(aside.at(now), [id]);
        assert_eq!(aside.at(now + WAITS[0]), [], "it is tried again");
        for wait in &WAITS[1..] {
            assert_eq!(aside.put(id, now), *wait);
        }
        assert_eq!(aside.put(id, now), WAITS[5], "an hour, however often");
        aside.forget(&[id]);
        assert_eq!(aside.put(id, now), WAITS[0], "what passed begins anew");
    }

    #[test]
    fn what_is_put_aside_is_bounded() {
        let (mut aside, now) = (Aside::default(), Instant::now());
        for _ in 0..MOST_ASIDE + 5 {
            aside.put(EventId::new(), now);
        }
        assert_eq!(aside.at(now).len(), MOST_ASIDE);
    }
}

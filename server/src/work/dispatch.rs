//! The dispatcher: processes each event once and writes its consequences, many events per transaction. Unique keys make
//! a repeat harmless. An event that cannot be dispatched is quarantined for a while, and the others continue.
//! Workspaces with many webhooks have their own dispatcher, so that the others do not wait while hundreds of deliveries
//! are written.
//!
//! Consequences are computed before the transaction, on a blocking thread and within a budget, because the time depends
//! on the event's author and the workspace's filters. A workspace that uses up its share is served separately, a few
//! events at a time and in turn with others like it; all other events go first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::{AppError, EventId, WorkspaceId};
use store::context::AppContext;
use store::dispatch::{DispatcherShard, PendingEvent, Turn, Whose, dispatch};
use store::webhooks::direct_dispatch::DirectDispatch;
use store::webhooks::fan_out::Budget;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::work::supervise::wait_for_work;

/// How long to wait without a signal: for events of other processes, and after an error.
const IDLE: Duration = Duration::from_secs(1);
/// How many events one transaction processes: a commit for each event would take most of the time.
const BATCH: u64 = 100;
/// The minimum time from the start of a batch that was not full to the next. Otherwise events that arrive one by one
/// would be processed one by one, although a batch costs the same for one event as for many.
const GATHER: Duration = Duration::from_millis(5);
/// Without a batch for this long, events are considered rare, and there is no need to gather them.
const QUIET_AFTER: Duration = Duration::from_millis(20);
/// How long the dispatcher of such workspaces rests after it found nothing: every commit is a signal, and few commits
/// bring events for it.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
/// How long filters can be evaluated in a turn: for one workspace, and in total.
const BUDGET: Budget = Budget {
    workspace: Duration::from_millis(20),
    turn: Duration::from_millis(100),
    whole_event: false,
};
/// The same for a workspace that used up its share and has its own turn.
const COSTLY_BUDGET: Budget = Budget {
    workspace: Duration::from_millis(100),
    turn: Duration::from_millis(100),
    whole_event: true,
};
/// The maximum number of events in such a turn.
const COSTLY_BATCH: u64 = 16;
/// How long an event that could not be dispatched waits after the first failure, the second, and so on.
const WAITS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(1),
];
/// The most quarantined events. The query excludes each by ID, and SQLite allows 32,766 values.
const MAX_QUARANTINED: usize = 10_000;

/// `direct_dispatch` passes deliveries to the sender of this process.
pub async fn run(
    ctx: AppContext,
    shard: DispatcherShard,
    direct_dispatch: DirectDispatch,
    stop: CancellationToken,
) {
    let mut dispatcher = Dispatcher::new(ctx.clone(), shard, direct_dispatch);
    let mut aside = dispatcher.for_costly();
    tokio::join!(
        run_usual(&mut dispatcher, &stop),
        run_costly(&mut aside, &stop),
    );
}

async fn run_usual(dispatcher: &mut Dispatcher, stop: &CancellationToken) {
    let mut commits = dispatcher.ctx.db().event_bus().commits();
    let mut last: Option<Instant> = None;
    loop {
        commits.mark_unchanged();
        let begun = Instant::now();
        match dispatcher.next_batch().await {
            Ok(taken @ 1..) if !stop.is_cancelled() => {
                let often = last.is_some_and(|last| begun - last < QUIET_AFTER);
                if often && (taken as u64) < BATCH {
                    tokio::time::sleep(GATHER.saturating_sub(begun.elapsed())).await;
                }
                last = Some(Instant::now());
                continue;
            }
            Ok(_) if dispatcher.shard == DispatcherShard::ManyWebhooks => {
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "events could not be dispatched; they will be tried again");
            }
        }
        if !wait_for_work(&mut commits, tokio::time::sleep(IDLE), stop).await {
            return;
        }
    }
}

/// Serves the workspaces that used up their share in turn. Between turns it rests as long as it worked.
async fn run_costly(dispatcher: &mut Dispatcher, stop: &CancellationToken) {
    let costly = dispatcher.costly.clone();
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let rest = match dispatcher.next_costly().await {
            Ok(Some(_)) => begun.elapsed(),
            Ok(None) => {
                let more = stop.run_until_cancelled(costly.0.came.notified());
                if more.await.is_none() {
                    return;
                }
                Duration::ZERO
            }
            Err(error) => {
                tracing::warn!(%error, "events could not be dispatched; they will be tried again");
                IDLE
            }
        };
        if stop
            .run_until_cancelled(tokio::time::sleep(rest))
            .await
            .is_none()
        {
            return;
        }
    }
}

/// Dispatches every waiting event; tests call this instead of waiting.
pub async fn dispatch_all(ctx: &AppContext) -> Result<(), AppError> {
    dispatch_to(ctx, &DirectDispatch::default()).await
}

/// The same, for a caller that takes the directly passed deliveries.
pub async fn dispatch_to(
    ctx: &AppContext,
    direct_dispatch: &DirectDispatch,
) -> Result<(), AppError> {
    for shard in [DispatcherShard::FewWebhooks, DispatcherShard::ManyWebhooks] {
        let mut dispatcher = Dispatcher::new(ctx.clone(), shard, direct_dispatch.clone());
        let mut aside = dispatcher.for_costly();
        while dispatcher.next_batch().await? > 0 || aside.next_costly().await?.is_some() {}
    }
    Ok(())
}

struct Dispatcher {
    ctx: AppContext,
    shard: DispatcherShard,
    direct_dispatch: DirectDispatch,
    aside: Quarantine,
    costly: Costly,
    budget: Budget,
}

/// Workspaces that used up their share and have waiting events, in turn. Kept in memory: another process, or this one
/// after a restart, finds out for itself.
#[derive(Clone, Default)]
struct Costly(Arc<Turns>);

#[derive(Default)]
struct Turns {
    workspaces: Mutex<VecDeque<WorkspaceId>>,
    came: Notify,
}

impl Costly {
    fn add(&self, workspaces: impl IntoIterator<Item = WorkspaceId>) {
        let mut known = self.lock();
        for workspace in workspaces {
            if !known.contains(&workspace) {
                known.push_back(workspace);
                self.0.came.notify_one();
            }
        }
    }

    /// The next workspace, which moves to the end of the line.
    fn next(&self) -> Option<WorkspaceId> {
        let mut known = self.lock();
        let next = known.pop_front()?;
        known.push_back(next);
        Some(next)
    }

    fn remove(&self, workspace: WorkspaceId) {
        self.lock().retain(|known| *known != workspace);
    }

    fn all(&self) -> Vec<WorkspaceId> {
        self.lock().iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<WorkspaceId>> {
        self.0
            .workspaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dispatcher {
    fn new(ctx: AppContext, shard: DispatcherShard, direct_dispatch: DirectDispatch) -> Self {
        Self {
            ctx,
            shard,
            direct_dispatch,
            aside: Quarantine::default(),
            costly: Costly::default(),
            budget: BUDGET,
        }
    }

    /// Creates a dispatcher for the workspaces that use up their share.
    fn for_costly(&self) -> Self {
        Self {
            costly: self.costly.clone(),
            budget: COSTLY_BUDGET,
            ..Self::new(self.ctx.clone(), self.shard, self.direct_dispatch.clone())
        }
    }

    /// Processes the oldest waiting events and returns how many there were, or 0 if none waits.
    async fn next_batch(&mut self) -> Result<usize, AppError> {
        let aside = self.aside.at(Instant::now());
        let costly = self.costly.all();
        // Usually nothing waits, so look before taking SQLite's only write lock.
        let waiting = Whose::Others(self.shard, costly);
        let waiting = waiting.oldest(&self.ctx, aside, BATCH).await?;
        self.take(waiting).await
    }

    /// The same for the next workspace that used up its share. `None`: there is no such workspace.
    async fn next_costly(&mut self) -> Result<Option<usize>, AppError> {
        let Some(workspace) = self.costly.next() else {
            return Ok(None);
        };
        let aside = self.aside.at(Instant::now());
        let waiting = Whose::One(workspace);
        let waiting = waiting.oldest(&self.ctx, aside, COSTLY_BATCH).await?;
        if waiting.is_empty() {
            self.costly.remove(workspace);
            return Ok(Some(0));
        }
        self.take(waiting).await.map(Some)
    }

    async fn take(&mut self, waiting: Vec<PendingEvent>) -> Result<usize, AppError> {
        if waiting.is_empty() {
            return Ok(0);
        }
        match self.attempt(waiting.clone()).await {
            Ok(turn) => Ok(self.done(turn)),
            Err(error) => {
                tracing::warn!(%error, "a batch of events could not be dispatched; trying each alone");
                self.one_by_one(waiting).await
            }
        }
    }

    /// How many events a turn moved forward, including those now served separately.
    fn done(&mut self, turn: Turn) -> usize {
        self.aside.forget(&turn.taken);
        let brought = turn.taken.len() + turn.costly.len();
        self.costly.add(turn.costly);
        brought
    }

    /// Dispatches these events. A panic counts as a failure.
    async fn attempt(&self, waiting: Vec<PendingEvent>) -> Result<Turn, AppError> {
        let (ctx, shard, direct_dispatch) =
            (self.ctx.clone(), self.shard, self.direct_dispatch.clone());
        let budget = self.budget;
        tokio::spawn(async move { dispatch(&ctx, shard, &direct_dispatch, budget, waiting).await })
            .await
            .unwrap_or_else(|panic| {
                tracing::error!(%panic, "dispatching events panicked");
                Err(AppError::Internal {
                    incident: "panic".to_owned(),
                })
            })
    }

    /// Finds out which event blocks the batch, and dispatches the others.
    async fn one_by_one(&mut self, waiting: Vec<PendingEvent>) -> Result<usize, AppError> {
        let count = waiting.len();
        for (id, workspace) in waiting {
            match self.attempt(vec![(id, workspace)]).await {
                Ok(turn) => {
                    self.done(turn);
                }
                Err(error) => {
                    // The event is not at fault if the database is unavailable.
                    self.ctx.db().read().ping().await?;
                    let wait = self.aside.put(id, Instant::now());
                    tracing::error!(event = %id, %error, ?wait, "an event cannot be dispatched; it is put aside");
                }
            }
        }
        Ok(count)
    }
}

/// Events that could not be dispatched: how often they failed, and when they are retried. Kept in memory: a new process
/// retries them immediately, as is right after a repair.
#[derive(Default)]
struct Quarantine(HashMap<EventId, (usize, Instant)>);

impl Quarantine {
    /// The quarantined events at this time.
    fn at(&self, now: Instant) -> Vec<EventId> {
        self.0
            .iter()
            .filter(|(_, (_, until))| *until > now)
            .map(|(id, _)| *id)
            .collect()
    }

    fn put(&mut self, id: EventId, now: Instant) -> Duration {
        if self.0.len() >= MAX_QUARANTINED && !self.0.contains_key(&id) {
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
        let (mut aside, now, id) = (Quarantine::default(), Instant::now(), EventId::new());
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
        let (mut aside, now) = (Quarantine::default(), Instant::now());
        for _ in 0..MAX_QUARANTINED + 5 {
            aside.put(EventId::new(), now);
        }
        assert_eq!(aside.at(now).len(), MAX_QUARANTINED);
    }
}

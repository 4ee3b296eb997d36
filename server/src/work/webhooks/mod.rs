//! The webhook sender. It claims due deliveries in batches, or gets them directly from the dispatcher, sends them
//! immediately and concurrently, and writes outcomes in batches. It keeps sending while the database works. After a
//! crash, leases expire: a delivery may be sent twice under the same ID, but is never lost.

pub mod attempt;
pub mod connector;
mod endpoints;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attempt::{DeliveryRequest, WebhookClient};
use domain::webhooks::Header;
use domain::{AppError, Secret, Timestamp, WebhookId, WorkspaceId};
use endpoints::{BATCH, Endpoints, Later, QUEUE_FULL_DELAY};
use http::Uri;
use hyper::body::Bytes;
use store::context::AppContext;
use store::webhooks::attempt::AttemptResult;
use store::webhooks::direct_dispatch::DirectDispatch;
use store::webhooks::health::jittered;
use store::webhooks::queue::{
    ClaimLimits, ClaimedBatch, Delays, DeliveryOutcome, Leased, WebhookRow,
};
use store::webhooks::{envelope, queue, signing};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long to wait without a signal: for due deliveries, for deliveries of other processes, and after an error.
const IDLE: Duration = Duration::from_millis(500);
/// How many outcomes one transaction writes.
const MAX_SETTLED: usize = 256;
/// How many of those outcomes are failures, and how many endpoints are deferred in one step. Failures cost more to
/// write, and nothing is claimed meanwhile: healthy endpoints should not wait for failing ones.
const MAX_FAILURES: usize = 16;
/// How many deliveries a claim takes for endpoints that fail or have never answered. These can wait; healthy endpoints
/// should not wait for them.
const SUSPECT_BATCH: usize = 16;
/// How often excess deliveries for the failing queue are deferred while that queue is full.
const CROWDED: Duration = Duration::from_secs(1);
/// How many full endpoints a claim excludes by ID.
const MAX_LEFT_OUT: usize = 1_000;
/// The minimum wait before the next poll after a poll that found nothing. Every commit is a signal, and most commits
/// bring no deliveries.
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);
/// The same minimum as a multiple of the poll's duration, so that polls that scan thousands of deliveries of the other
/// queue do not keep a core busy.
const LOOK_SHARE: u32 = 20;
/// How long to collect ended attempts and due deliveries before the next turn: a turn costs about the same for one
/// delivery as for many.
const GATHER: Duration = Duration::from_millis(5);
/// The same for a sender of failing endpoints only: between its turns, other senders can write.
const SUSPECT_GATHER: Duration = Duration::from_millis(20);
/// The minimum interval between invalidations of open pages.
const INVALIDATION_INTERVAL: Duration = Duration::from_millis(300);
/// How much of a lease must remain to begin an attempt.
const MIN_LEASE_LEFT: Duration = Duration::from_secs(20);
/// Longer than any deferral at a fast endpoint that has no room.
const SHORT_DEFERRAL: Duration = Duration::from_millis(150);
/// How often writing outcomes is attempted before the outcomes are dropped.
const MAX_REFUSALS: u32 = 10;
/// How long to wait after a database error.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What the sender needs besides the context.
#[derive(Clone)]
pub struct Settings {
    pub client: WebhookClient,
    /// The delays between attempts.
    pub waits: Arc<[Duration]>,
}

/// Which deliveries a sender claims. Handling failing endpoints costs more, and a sender claims nothing while it
/// writes: healthy endpoints have their own sender, so that they do not wait for failing ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueClass {
    /// Deliveries to healthy endpoints, and test deliveries.
    Healthy,
    /// Deliveries to endpoints that fail or have never answered.
    Failing,
    /// All deliveries.
    Both,
}

/// A leased delivery and everything needed to send it.
struct Job {
    held: Leased,
    lease_until: Timestamp,
    request: DeliveryRequest,
}

struct Sender {
    ctx: AppContext,
    settings: Settings,
    queue_class: QueueClass,
    endpoints: Endpoints<Job>,
    done: VecDeque<(Leased, DeliveryOutcome)>,
    /// Failed attempts that are not written yet.
    failed: VecDeque<(Leased, DeliveryOutcome)>,
    deferred: BTreeMap<WebhookId, Timestamp>,
    results: mpsc::UnboundedSender<(Leased, AttemptResult)>,
    ended: mpsc::UnboundedReceiver<(Leased, AttemptResult)>,
    direct_dispatch: DirectDispatch,
    looked: PollState,
    invalidations: PendingInvalidations,
    /// How often in a row the database rejected the outcomes.
    refusals: u32,
    /// When excess deliveries for the failing queue were last deferred.
    crowded: Instant,
}

/// The result of the last poll for due deliveries.
struct PollState {
    at: Instant,
    /// How long the poll took.
    took: Duration,
    /// Whether the poll found any deliveries.
    found: bool,
    /// Whether the poll filled the available room, so that the healthy queue has more.
    behind: bool,
    /// Webhooks that were excluded because they were full.
    full: Vec<WebhookId>,
    /// Whether a poll has been skipped since.
    missed: bool,
}

impl PollState {
    /// How long to wait for a signal before the next poll.
    fn wait(&self) -> Duration {
        if self.missed { self.rest() } else { IDLE }
    }

    /// How long until another poll is allowed.
    fn rest(&self) -> Duration {
        if self.found {
            return Duration::ZERO;
        }
        let rest = (self.took * LOOK_SHARE).clamp(BETWEEN_LOOKS, IDLE);
        rest.saturating_sub(self.at.elapsed())
    }
}

/// Runs until `stop`, and then until no delivery is in progress. The dispatcher of this process passes deliveries to
/// send immediately through `direct_dispatch`.
pub async fn run(
    ctx: AppContext,
    settings: Settings,
    queue_class: QueueClass,
    direct_dispatch: DirectDispatch,
    stop: CancellationToken,
) {
    let mut sender = Sender::new(ctx.clone(), settings, queue_class, direct_dispatch);
    let mut commits = ctx.db().event_bus().commits();
    loop {
        // Before polling, so that a commit in between is not missed.
        commits.mark_unchanged();
        sender.take_back_all();
        let busy = match sender.turn(!stop.is_cancelled()).await {
            Ok(busy) => busy,
            Err(error) => {
                tracing::warn!(%error, "deliveries could not be claimed or written down; it will be tried again");
                sender.meanwhile(tokio::time::sleep(AFTER_FAILURE)).await;
                false
            }
        };
        if stop.is_cancelled() && sender.is_done() {
            return;
        }
        if busy {
            let gather = match queue_class {
                QueueClass::Failing => SUSPECT_GATHER,
                QueueClass::Healthy | QueueClass::Both => GATHER,
            };
            sender.meanwhile(tokio::time::sleep(gather)).await;
            continue;
        }
        let wait = sender.looked.wait();
        let cue = async {
            tokio::select! {
                // Only once: after `stop`, this branch would always be ready.
                () = stop.cancelled(), if !stop.is_cancelled() => {}
                _ = commits.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        };
        sender.until(cue).await;
    }
}

/// Sends until no delivery is due or in progress; tests call this instead of waiting.
pub async fn send_due(ctx: &AppContext, settings: &Settings) -> Result<(), AppError> {
    let direct_dispatch = DirectDispatch::default();
    let mut sender = Sender::new(
        ctx.clone(),
        settings.clone(),
        QueueClass::Both,
        direct_dispatch,
    );
    let mut quiet = false;
    loop {
        sender.looked.found = true;
        if sender.turn(true).await? {
            quiet = false;
        } else if sender.endpoints.held() > 0 {
            sender.until(std::future::pending()).await;
            quiet = false;
        } else if quiet {
            return Ok(());
        } else {
            // Deliveries that found no room are due again shortly.
            tokio::time::sleep(SHORT_DEFERRAL).await;
            quiet = true;
        }
    }
}

impl Sender {
    fn new(
        ctx: AppContext,
        settings: Settings,
        queue_class: QueueClass,
        direct_dispatch: DirectDispatch,
    ) -> Self {
        let (results, ended) = mpsc::unbounded_channel();
        Self {
            ctx,
            settings,
            queue_class,
            endpoints: Endpoints::default(),
            done: VecDeque::new(),
            failed: VecDeque::new(),
            deferred: BTreeMap::new(),
            results,
            ended,
            direct_dispatch,
            looked: PollState {
                at: Instant::now(),
                took: Duration::ZERO,
                found: true,
                behind: true,
                full: Vec::new(),
                missed: false,
            },
            invalidations: PendingInvalidations::default(),
            refusals: 0,
            crowded: Instant::now(),
        }
    }

    /// Sends and collects ended attempts until this future completes.
    async fn meanwhile<T>(&mut self, this: impl Future<Output = T>) -> T {
        tokio::pin!(this);
        loop {
            tokio::select! {
                biased;
                over = &mut this => return over,
                given = self.direct_dispatch.take() => self.admit_all(given),
                Some((held, report)) = self.ended.recv() => self.take_back(held, report),
            }
        }
    }

    /// Sends until there is an outcome to write or this future completes.
    async fn until(&mut self, this: impl Future<Output = ()>) {
        tokio::pin!(this);
        loop {
            tokio::select! {
                biased;
                Some((held, report)) = self.ended.recv() => {
                    self.take_back(held, report);
                    return;
                }
                given = self.direct_dispatch.take() => {
                    self.admit_all(given);
                    if !self.is_written_down() {
                        return;
                    }
                }
                () = &mut this => return,
            }
        }
    }

    fn admit_all(&mut self, given: Vec<ClaimedBatch>) {
        for claim in given {
            self.admit(claim);
        }
        self.start();
    }

    fn take_back_all(&mut self) {
        while let Ok((held, report)) = self.ended.try_recv() {
            self.take_back(held, report);
        }
    }

    /// Records the end of an attempt.
    fn take_back(&mut self, held: Leased, report: AttemptResult) {
        self.endpoints
            .ended(held.webhook, report.error.is_none(), report.duration);
        let ended = if report.error.is_some() {
            &mut self.failed
        } else {
            &mut self.done
        };
        ended.push_back((held, DeliveryOutcome::Attempted(report)));
        self.start();
    }

    fn is_written_down(&self) -> bool {
        self.done.is_empty() && self.failed.is_empty()
    }

    /// Whether nothing is left to send or write, and no delivery will be passed directly.
    fn is_done(&self) -> bool {
        self.endpoints.held() == 0
            && self.is_written_down()
            && (self.queue_class != QueueClass::Healthy || self.direct_dispatch.close())
    }

    /// Writes outcomes, claims due deliveries and starts attempts. Returns whether more work may be ready.
    async fn turn(&mut self, more: bool) -> Result<bool, AppError> {
        if !more {
            for job in self.endpoints.give_up(None) {
                self.done
                    .push_back((job.held, DeliveryOutcome::Later(Timestamp::now())));
            }
        }
        let settled = self.settle().await? | self.defer().await?;
        // A process without a recent heartbeat claims nothing: others would soon claim it too.
        let more = more && self.ctx.leases().is_alive();
        let claimed = more && self.claim().await?;
        // At shutdown there is no skipped poll to make up for, so nothing to wake up for.
        self.looked.missed &= more;
        self.start();
        self.open(more);
        // Deliveries that the claim deferred are written before the next claim.
        Ok(settled || claimed)
    }

    async fn settle(&mut self) -> Result<bool, AppError> {
        for (held, _) in self.done.iter().chain(&self.failed) {
            self.invalidations.waiting.insert(held.workspace);
        }
        let invalidated = self.invalidations.take();
        if self.is_written_down() && invalidated.is_empty() {
            return Ok(false);
        }
        let failures = self.failed.len().min(MAX_FAILURES);
        let others = self.done.len().min(MAX_SETTLED - failures);
        let batch: Vec<_> = self
            .failed
            .drain(..failures)
            .chain(self.done.drain(..others))
            .collect();
        let (ctx, waits) = (self.ctx.clone(), self.settings.waits.clone());
        let writing = queue::settle(&ctx, &waits, &batch, &invalidated);
        let settled = self.meanwhile(writing).await;
        let fares = match settled {
            Err(error) if self.refusals < MAX_REFUSALS => {
                self.refusals += 1;
                let mut batch = batch.into_iter();
                prepend(&mut self.failed, batch.by_ref().take(failures));
                prepend(&mut self.done, batch);
                return Err(error);
            }
            Err(error) => {
                // Perhaps one outcome can never be written. The leases expire, and the deliveries are sent again.
                let batch = batch.len();
                tracing::error!(%error, batch, "what became of deliveries could not be written down");
                HashMap::new()
            }
            Ok(fares) => fares,
        };
        self.refusals = 0;
        let now = Timestamp::now();
        for (id, health) in fares {
            self.endpoints.learn(id, health);
            if let Some(until) = health.circuit_open_until.filter(|until| *until > now) {
                self.deferred.insert(id, until);
                for job in self.endpoints.give_up(Some(id)) {
                    let outcome = if job.held.test { now } else { until };
                    self.done
                        .push_back((job.held, DeliveryOutcome::Later(outcome)));
                }
            }
        }
        Ok(failures + others > 0)
    }

    /// Defers due deliveries that cannot be sent.
    async fn defer(&mut self) -> Result<bool, AppError> {
        let delays = self.delays();
        if delays.is_empty() {
            return Ok(false);
        }
        let ctx = self.ctx.clone();
        let deferred = self.meanwhile(queue::defer(&ctx, &delays)).await;
        if deferred.is_err() {
            self.deferred.extend(delays.webhooks);
        }
        deferred.map(|()| true)
    }

    /// The deliveries to defer in this turn.
    fn delays(&mut self) -> Delays {
        let webhooks = std::iter::from_fn(|| self.deferred.pop_first())
            .take(MAX_FAILURES)
            .collect();
        let crowded = self.endpoints.room().1 == 0 && self.crowded.elapsed() >= CROWDED;
        if crowded {
            self.crowded = Instant::now();
        }
        Delays {
            webhooks,
            suspects: crowded.then(|| Timestamp::now().after(jittered(QUEUE_FULL_DELAY))),
        }
    }

    async fn claim(&mut self) -> Result<bool, AppError> {
        self.looked.missed = !self.looked.rest().is_zero();
        if self.looked.missed {
            return Ok(false);
        }
        let (healthy, suspect) = self.endpoints.room();
        let of = |queue_class, room| {
            if self.queue_class == queue_class || self.queue_class == QueueClass::Both {
                room
            } else {
                0
            }
        };
        let wanted = ClaimLimits {
            healthy: of(QueueClass::Healthy, healthy.min(BATCH)),
            suspect: of(QueueClass::Failing, suspect.min(SUSPECT_BATCH)),
            full: self.endpoints.full(MAX_LEFT_OUT),
        };
        let (ctx, begun) = (self.ctx.clone(), Instant::now());
        let (found, claim) = self.meanwhile(queue::claim(&ctx, &wanted)).await?;
        self.looked = PollState {
            at: Instant::now(),
            took: begun.elapsed(),
            found: found > 0,
            behind: found >= wanted.healthy,
            full: wanted.full,
            missed: false,
        };
        if let Some(claim) = claim {
            self.admit(claim);
        }
        Ok(found > 0)
    }

    /// Reports to the dispatcher what can be passed directly: nothing that would overtake waiting deliveries.
    fn open(&self, more: bool) {
        if self.queue_class != QueueClass::Healthy {
            return;
        }
        let room = if more && !self.looked.behind {
            self.endpoints.room().0
        } else {
            0
        };
        let closed = self
            .looked
            .full
            .iter()
            .copied()
            .chain(self.endpoints.full(MAX_LEFT_OUT));
        self.direct_dispatch.open(room, closed.collect());
    }

    fn admit(&mut self, claim: ClaimedBatch) {
        let now = Timestamp::now();
        let mut bodies: HashMap<_, Bytes> = HashMap::new();
        let mut targets: HashMap<WebhookId, Option<Target>> = HashMap::new();
        for delivery in claim.deliveries {
            let Some(row) = claim.webhooks.get(&delivery.webhook_id) else {
                // The webhook was deleted meanwhile, along with its deliveries.
                continue;
            };
            let held = Leased {
                id: delivery.id,
                webhook: row.id,
                workspace: row.workspace_id,
                lease: claim.lease,
                attempts: delivery.attempts,
                scheduled_from: delivery.scheduled_from,
                test: delivery.payload.is_some(),
            };
            if !held.test && !queue::is_open(row) {
                self.done.push_back((held, DeliveryOutcome::Cancelled));
                continue;
            }
            let body = match (&delivery.payload, claim.events.get(&delivery.event_id)) {
                (Some(payload), _) => Bytes::from(payload.clone()),
                (None, Some(event)) => bodies
                    .entry(event.id)
                    .or_insert_with(|| Bytes::from(envelope::body(event)))
                    .clone(),
                (None, None) => {
                    self.done.push_back((held, DeliveryOutcome::Lost));
                    continue;
                }
            };
            let target = targets
                .entry(row.id)
                .or_insert_with(|| Target::of(&self.ctx, row));
            let Some(target) = target else {
                // The log reports this to the operator; the failed attempt reports it to the webhook's owner.
                let report = AttemptResult::not_sent("secret_unreadable");
                self.done
                    .push_back((held, DeliveryOutcome::Attempted(report)));
                continue;
            };
            let job = Job {
                held,
                lease_until: claim.until,
                request: DeliveryRequest {
                    uri: target.uri.clone(),
                    secrets: target.secrets.clone(),
                    headers: target.headers.clone(),
                    event: delivery.event_id,
                    body,
                },
            };
            let health = queue::health(row);
            if job.held.test {
                self.endpoints.admit_at_once(row.id, health, job);
            } else if let Err((job, Later { until, all })) =
                self.endpoints.admit(row.id, health, now, job)
            {
                if all {
                    self.deferred.insert(row.id, until);
                }
                self.done
                    .push_back((job.held, DeliveryOutcome::Later(until)));
            }
        }
    }

    /// Starts every attempt that can start.
    fn start(&mut self) {
        while let Some(job) = self.endpoints.next() {
            let left = job.lease_until.since(Timestamp::now());
            if left < MIN_LEASE_LEFT || !self.ctx.leases().holds(job.held.lease) {
                // The delivery waited too long, or the process slept, and another worker may have leased it by now. The
                // next worker to claim it sends it.
                self.endpoints.ended(job.held.webhook, true, Duration::ZERO);
                self.done
                    .push_back((job.held, DeliveryOutcome::Later(Timestamp::now())));
                continue;
            }
            let (client, results) = (self.settings.client.clone(), self.results.clone());
            tokio::spawn(async move {
                let report = client.send(&job.request).await;
                // The receiver is gone only when the program ends.
                let _ = results.send((job.held, report));
            });
        }
    }
}

/// Puts the taken items back at the front.
fn prepend<T>(queue: &mut VecDeque<T>, taken: impl Iterator<Item = T>) {
    let taken: Vec<T> = taken.collect();
    for one in taken.into_iter().rev() {
        queue.push_front(one);
    }
}

/// The data shared by all deliveries to a webhook.
struct Target {
    uri: Uri,
    secrets: Arc<[Secret]>,
    headers: Arc<[Header]>,
}

impl Target {
    fn of(ctx: &AppContext, row: &WebhookRow) -> Option<Self> {
        Some(Self {
            uri: row.url.parse().ok()?,
            secrets: signing::secrets(ctx, row).ok()?.into(),
            headers: signing::headers(ctx, row).ok()?.into(),
        })
    }
}

/// Workspaces whose pages need an invalidation, and when invalidations were last sent.
struct PendingInvalidations {
    waiting: BTreeSet<WorkspaceId>,
    told: Instant,
}

impl Default for PendingInvalidations {
    fn default() -> Self {
        Self {
            waiting: BTreeSet::new(),
            told: Instant::now(),
        }
    }
}

impl PendingInvalidations {
    fn take(&mut self) -> BTreeSet<WorkspaceId> {
        if self.waiting.is_empty() || self.told.elapsed() < INVALIDATION_INTERVAL {
            return BTreeSet::new();
        }
        self.told = Instant::now();
        std::mem::take(&mut self.waiting)
    }
}

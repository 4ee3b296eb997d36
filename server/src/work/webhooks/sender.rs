//! The state of a sender, and its turns: each turn writes outcomes, claims due deliveries and starts attempts.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::time::{Duration, Instant};

use domain::{AppError, Timestamp, WebhookId};
use store::context::AppContext;
use store::webhooks::attempt::AttemptResult;
use store::webhooks::direct_dispatch::DirectDispatch;
use store::webhooks::queue::{ClaimedBatch, DeliveryOutcome, Leased};
use tokio::sync::mpsc;

use super::attempt::DeliveryRequest;
use super::endpoints::Endpoints;
use super::invalidations::PendingInvalidations;
use super::poll_state::PollState;
use super::settings::{QueueClass, Settings};

/// A leased delivery and everything needed to send it.
pub(super) struct Job {
    pub(super) held: Leased,
    pub(super) lease_until: Timestamp,
    pub(super) request: DeliveryRequest,
}

pub(super) struct Sender {
    pub(super) ctx: AppContext,
    pub(super) settings: Settings,
    pub(super) queue_class: QueueClass,
    pub(super) endpoints: Endpoints<Job>,
    pub(super) done: VecDeque<(Leased, DeliveryOutcome)>,
    /// Failed attempts that are not written yet.
    pub(super) failed: VecDeque<(Leased, DeliveryOutcome)>,
    pub(super) deferred: BTreeMap<WebhookId, Timestamp>,
    pub(super) results: mpsc::UnboundedSender<(Leased, AttemptResult)>,
    ended: mpsc::UnboundedReceiver<(Leased, AttemptResult)>,
    pub(super) direct_dispatch: DirectDispatch,
    pub(super) looked: PollState,
    pub(super) invalidations: PendingInvalidations,
    /// How often in a row the database rejected the outcomes.
    pub(super) refusals: u32,
    /// When excess deliveries for the failing queue were last deferred.
    pub(super) crowded: Instant,
}

impl Sender {
    pub(super) fn new(
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
    pub(super) async fn meanwhile<T>(&mut self, this: impl Future<Output = T>) -> T {
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
    pub(super) async fn until(&mut self, this: impl Future<Output = ()>) {
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

    pub(super) fn take_back_all(&mut self) {
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

    pub(super) fn is_written_down(&self) -> bool {
        self.done.is_empty() && self.failed.is_empty()
    }

    /// Whether nothing is left to send or write, and no delivery will be passed directly.
    pub(super) fn is_done(&self) -> bool {
        self.endpoints.held() == 0
            && self.is_written_down()
            && (self.queue_class != QueueClass::Healthy || self.direct_dispatch.close())
    }

    /// Writes outcomes, claims due deliveries and starts attempts. Returns whether more work may be ready.
    pub(super) async fn turn(&mut self, more: bool) -> Result<bool, AppError> {
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
}

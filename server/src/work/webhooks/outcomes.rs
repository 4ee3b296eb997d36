//! How a sender writes the outcomes of deliveries, and defers deliveries that it cannot send.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use domain::{AppError, Timestamp};
use store::webhooks::health::jittered;
use store::webhooks::queue::{self, Delays, DeliveryOutcome};

use super::endpoints::QUEUE_FULL_DELAY;
use super::sender::Sender;

/// How many outcomes one transaction writes.
const MAX_SETTLED: usize = 256;
/// How many of those outcomes are failures, and how many endpoints are deferred in one step. Failures cost more to
/// write, and nothing is claimed meanwhile: healthy endpoints should not wait for failing ones.
const MAX_FAILURES: usize = 16;
/// How often excess deliveries for the failing queue are deferred while that queue is full.
const CROWDED: Duration = Duration::from_secs(1);
/// How often writing outcomes is attempted before the outcomes are dropped.
const MAX_REFUSALS: u32 = 10;

impl Sender {
    pub(super) async fn settle(&mut self) -> Result<bool, AppError> {
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
    pub(super) async fn defer(&mut self) -> Result<bool, AppError> {
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
}

/// Puts the taken items back at the front.
fn prepend<T>(queue: &mut VecDeque<T>, taken: impl Iterator<Item = T>) {
    let taken: Vec<T> = taken.collect();
    for one in taken.into_iter().rev() {
        queue.push_front(one);
    }
}

//! How a sender claims due deliveries, admits them to the queues of their endpoints, and starts their attempts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::webhooks::Header;
use domain::{AppError, Secret, Timestamp, WebhookId};
use http::Uri;
use hyper::body::Bytes;
use store::context::AppContext;
use store::webhooks::attempt::AttemptResult;
use store::webhooks::queue::{
    self, ClaimLimits, ClaimedBatch, DeliveryOutcome, Leased, WebhookRow,
};
use store::webhooks::{envelope, signing};

use super::attempt::DeliveryRequest;
use super::endpoints::{BATCH, Later};
use super::poll_state::PollState;
use super::sender::{Job, Sender};
use super::settings::QueueClass;

/// How many deliveries a claim takes for endpoints that fail or have never answered. These can wait; healthy endpoints
/// should not wait for them.
const SUSPECT_BATCH: usize = 16;
/// How many full endpoints a claim excludes by ID.
const MAX_LEFT_OUT: usize = 1_000;
/// How much of a lease must remain to begin an attempt.
const MIN_LEASE_LEFT: Duration = Duration::from_secs(20);

impl Sender {
    pub(super) async fn claim(&mut self) -> Result<bool, AppError> {
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
    pub(super) fn open(&self, more: bool) {
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

    pub(super) fn admit(&mut self, claim: ClaimedBatch) {
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
    pub(super) fn start(&mut self) {
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

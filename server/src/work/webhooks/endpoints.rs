//! Decides which endpoints can receive deliveries now. Each endpoint has a limit of concurrent attempts, which grows
//! with success. Endpoints that fail, or have never succeeded, share a queue of their own, so that the others never
//! wait for them. After several consecutive failures an endpoint's circuit opens: nothing is attempted until its pause
//! ends, and then a single attempt.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use domain::{Timestamp, WebhookId};
use store::webhooks::health::{FAILING_QUEUE_SIZE, Health, jittered};

/// The initial and maximum number of concurrent attempts to one endpoint.
const FIRST_LIMIT: usize = 2;
const LAST_LIMIT: usize = 32;
/// How many deliveries one claim takes.
pub const BATCH: usize = 256;
/// How many deliveries a queue holds, in progress or waiting to start.
pub const HEALTHY_LANE: usize = 2048;
/// The most deliveries that wait here for one healthy endpoint, and their longest expected wait in milliseconds:
/// waiting deliveries are leased.
const MAX_QUEUED: usize = 2 * BATCH;
const MAX_QUEUE_LEN: u64 = 3_000;
/// If an endpoint takes longer, in milliseconds, all its waiting deliveries are deferred when there is no room.
const SLOW: u64 = 1_000;
/// The assumed duration of an attempt before the first one, in milliseconds.
const AT_FIRST: u64 = 500;
/// How long a delivery is deferred when there is no room: at its endpoint, at a slow endpoint, or in the failing queue.
const NO_ROOM: Duration = Duration::from_millis(100);
const NO_ROOM_FOR_LONG: Duration = Duration::from_secs(3);
pub const QUEUE_FULL_DELAY: Duration = Duration::from_secs(8);
/// How many idle endpoints are remembered.
const MAX_REMEMBERED: usize = 10_000;

/// Why a claimed delivery is not admitted: it waits until `until`. If `all`, all waiting deliveries of the endpoint do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    pub until: Timestamp,
    pub all: bool,
}

struct Endpoint<J> {
    health: Health,
    limit: usize,
    running: usize,
    queue: VecDeque<J>,
    /// The recent duration of an attempt, in milliseconds.
    takes: u64,
}

impl<J> Endpoint<J> {
    fn held(&self) -> usize {
        self.running + self.queue.len()
    }

    /// The maximum number of concurrent attempts.
    fn limit(&self) -> usize {
        if self.health.is_probing() {
            1
        } else {
            self.limit
        }
    }

    /// Whether claiming is not worthwhile now: there is no room, or less than one claim in an endpoint that usually has
    /// more. Claiming a delivery and sending it back costs two writes for nothing.
    fn is_full(&self) -> bool {
        let (room, held) = (self.room(), self.held());
        held >= room || (room >= 2 * BATCH && room - held < BATCH)
    }

    /// The maximum number of leased deliveries: in progress and waiting.
    fn room(&self) -> usize {
        if self.health.is_probing() {
            return 1;
        }
        if self.health.is_suspect() {
            return self.limit * 2;
        }
        let turns = usize::try_from(MAX_QUEUE_LEN / self.takes.max(1)).unwrap_or(usize::MAX);
        self.limit
            + self
                .limit
                .saturating_mul(turns)
                .clamp(self.limit, MAX_QUEUED)
    }
}

/// Every endpoint that has leased deliveries, now or recently.
pub struct Endpoints<J> {
    known: HashMap<WebhookId, Endpoint<J>>,
    healthy: usize,
    suspect: usize,
    ready: VecDeque<WebhookId>,
}

impl<J> Default for Endpoints<J> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            healthy: 0,
            suspect: 0,
            ready: VecDeque::new(),
        }
    }
}

impl<J> Endpoints<J> {
    /// The total number of leased deliveries.
    pub fn held(&self) -> usize {
        self.healthy + self.suspect
    }

    /// The remaining room for healthy endpoints, and for suspect ones.
    pub fn room(&self) -> (usize, usize) {
        (
            HEALTHY_LANE.saturating_sub(self.healthy),
            FAILING_QUEUE_SIZE.saturating_sub(self.suspect),
        )
    }

    /// Admits a delivery, or returns when to try again.
    pub fn admit(
        &mut self,
        id: WebhookId,
        health: Health,
        now: Timestamp,
        job: J,
    ) -> Result<(), (J, Later)> {
        self.learn(id, health);
        if let Some(until) = health.circuit_open_until.filter(|until| *until > now) {
            return Err((job, Later { until, all: true }));
        }
        let suspect = health.is_suspect();
        if suspect && self.suspect >= FAILING_QUEUE_SIZE {
            let until = now.after(jittered(QUEUE_FULL_DELAY));
            return Err((job, Later { until, all: true }));
        }
        if !suspect && self.healthy >= HEALTHY_LANE {
            let until = now.after(NO_ROOM);
            return Err((job, Later { until, all: false }));
        }
        let Some(endpoint) = self.known.get_mut(&id) else {
            return Err((
                job,
                Later {
                    until: now,
                    all: false,
                },
            ));
        };
        if endpoint.held() >= endpoint.room() {
            let all = health.failures > 0 || endpoint.takes >= SLOW;
            let wait = if all { NO_ROOM_FOR_LONG } else { NO_ROOM };
            let until = now.after(jittered(wait));
            return Err((job, Later { until, all }));
        }
        endpoint.queue.push_back(job);
        if suspect {
            self.suspect += 1;
        } else {
            self.healthy += 1;
        }
        self.ready.push_back(id);
        Ok(())
    }

    /// Admits a delivery that a user requested, regardless of the endpoint's health and room.
    pub fn admit_at_once(&mut self, id: WebhookId, health: Health, job: J) {
        self.learn(id, health);
        if let Some(endpoint) = self.known.get_mut(&id) {
            endpoint.queue.push_front(job);
            endpoint.limit = endpoint.limit.max(endpoint.running + 1);
            if endpoint.health.is_suspect() {
                self.suspect += 1;
            } else {
                self.healthy += 1;
            }
            self.ready.push_front(id);
        }
    }

    /// Records an endpoint's health. Its leased deliveries move to the matching queue.
    pub fn learn(&mut self, id: WebhookId, health: Health) {
        if self.known.len() > MAX_REMEMBERED {
            self.known.retain(|_, endpoint| endpoint.held() > 0);
        }
        let endpoint = self.known.entry(id).or_insert_with(|| Endpoint {
            health,
            limit: FIRST_LIMIT,
            running: 0,
            queue: VecDeque::new(),
            takes: AT_FIRST,
        });
        let held = endpoint.held();
        match (endpoint.health.is_suspect(), health.is_suspect()) {
            (true, false) => {
                self.suspect -= held;
                self.healthy += held;
            }
            (false, true) => {
                self.healthy -= held;
                self.suspect += held;
            }
            _ => {}
        }
        endpoint.health = health;
    }

    /// The next delivery to send, round robin by endpoint.
    pub fn next(&mut self) -> Option<J> {
        for _ in 0..self.ready.len() {
            let id = self.ready.pop_front()?;
            let Some(endpoint) = self.known.get_mut(&id) else {
                continue;
            };
            if endpoint.queue.is_empty() {
                continue;
            }
            if endpoint.running >= endpoint.limit() {
                // The end of an attempt puts it back in line.
                continue;
            }
            let job = endpoint.queue.pop_front()?;
            endpoint.running += 1;
            if !endpoint.queue.is_empty() {
                self.ready.push_back(id);
            }
            return Some(job);
        }
        None
    }

    /// Records the end of an attempt.
    pub fn ended(&mut self, id: WebhookId, good: bool, took: Duration) {
        let Some(endpoint) = self.known.get_mut(&id) else {
            return;
        };
        endpoint.running = endpoint.running.saturating_sub(1);
        let took = u64::try_from(took.as_millis())
            .unwrap_or(u64::MAX)
            .min(60_000);
        endpoint.takes = (endpoint.takes * 3 + took) / 4;
        endpoint.limit = if good {
            (endpoint.limit + 1).min(LAST_LIMIT)
        } else {
            (endpoint.limit / 2).max(FIRST_LIMIT)
        };
        if endpoint.health.is_suspect() {
            self.suspect = self.suspect.saturating_sub(1);
        } else {
            self.healthy = self.healthy.saturating_sub(1);
        }
        if !endpoint.queue.is_empty() {
            self.ready.push_back(id);
        }
    }

    /// Drops deliveries not in progress, for example at shutdown or when an endpoint's circuit opens.
    pub fn give_up(&mut self, which: Option<WebhookId>) -> Vec<J> {
        let mut jobs = Vec::new();
        for (id, endpoint) in &mut self.known {
            if which.is_some_and(|which| which != *id) {
                continue;
            }
            let count = endpoint.queue.len();
            if endpoint.health.is_suspect() {
                self.suspect -= count;
            } else {
                self.healthy -= count;
            }
            jobs.extend(endpoint.queue.drain(..));
        }
        jobs
    }

    /// Endpoints that have no room now, so not worth a claim.
    pub fn full(&self, most: usize) -> Vec<WebhookId> {
        self.known
            .iter()
            .filter(|(_, endpoint)| endpoint.is_full())
            .map(|(id, _)| *id)
            .take(most)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const QUICK: Duration = Duration::from_millis(4);

    fn health(failures: i32, succeeded: bool) -> Health {
        Health {
            failures,
            circuit_open_until: None,
            succeeded,
        }
    }

    fn admitted(
        endpoints: &mut Endpoints<u32>,
        id: WebhookId,
        health: Health,
        count: u32,
    ) -> usize {
        (0..count)
            .filter(|job| endpoints.admit(id, health, NOW, *job).is_ok())
            .count()
    }

    #[test]
    fn what_may_be_under_way_grows_with_success_and_shrinks_with_failure() {
        let (mut endpoints, id) = (Endpoints::default(), WebhookId::new());
        assert_eq!(
            admitted(&mut endpoints, id, health(0, true), 100),
            2 + 2 * 6
        );
        let mut running = 0;
        while endpoints.next().is_some() {
            running += 1;
        }
        assert_eq!(running, FIRST_LIMIT);
        for _ in 0..100 {
            endpoints.ended(id, true, QUICK);
        }
        assert_eq!(endpoints.known[&id].limit, LAST_LIMIT);
        assert_eq!(endpoints.known[&id].room(), LAST_LIMIT + MAX_QUEUED);
        for _ in 0..10 {
            endpoints.ended(id, false, QUICK);
        }
        assert_eq!(endpoints.known[&id].limit, FIRST_LIMIT);
    }

    #[test]
    fn a_busy_endpoint_is_claimed_for_again_when_a_whole_claim_has_room() {
        let (mut endpoints, id) = (Endpoints::default(), WebhookId::new());
        admitted(&mut endpoints, id, health(0, true), 1);
        while endpoints.next().is_some() {}
        for _ in 0..100 {
            endpoints.ended(id, true, QUICK);
        }
        let room = u32::try_from(endpoints.known[&id].room()).unwrap();
        let batch = u32::try_from(BATCH).unwrap();
        let taken = admitted(&mut endpoints, id, health(0, true), room - batch);
        assert_eq!((taken, endpoints.full(9)), (room as usize - BATCH, vec![]));
        assert_eq!(admitted(&mut endpoints, id, health(0, true), 1), 1);
        assert_eq!(endpoints.full(9), [id], "less than a claim would fit");
        // Deliveries that are already claimed are still admitted.
        let taken = admitted(&mut endpoints, id, health(0, true), room);
        assert_eq!(taken, BATCH - 1);
    }

    #[test]
    fn a_thousand_suspects_leave_room_for_the_healthy() {
        let mut endpoints = Endpoints::default();
        let taken: usize = (0..1000)
            .map(|_| admitted(&mut endpoints, WebhookId::new(), health(3, false), 2))
            .sum();
        assert_eq!(taken, FAILING_QUEUE_SIZE);
        let healthy = WebhookId::new();
        assert_eq!(admitted(&mut endpoints, healthy, health(0, true), 4), 4);
        assert_eq!(endpoints.room(), (HEALTHY_LANE - 4, 0));
    }

    #[test]
    fn an_open_circuit_takes_nothing_and_a_probe_is_alone() {
        let (mut endpoints, id) = (Endpoints::default(), WebhookId::new());
        let until = NOW.after(Duration::from_secs(30));
        let open = Health {
            circuit_open_until: Some(until),
            ..health(5, true)
        };
        let (_, refused) = endpoints.admit(id, open, NOW, 1).unwrap_err();
        assert_eq!(refused, Later { until, all: true });
        let over = Health {
            circuit_open_until: Some(NOW),
            ..health(5, true)
        };
        assert_eq!(admitted(&mut endpoints, id, over, 5), 1);
        assert_eq!(endpoints.next(), Some(0));
        assert_eq!(endpoints.next(), None);
        endpoints.ended(id, true, QUICK);
        endpoints.learn(id, health(0, true));
        assert_eq!(admitted(&mut endpoints, id, health(0, true), 5), 5);
    }

    #[test]
    fn lanes_count_right_when_an_endpoint_recovers() {
        let (mut endpoints, id) = (Endpoints::default(), WebhookId::new());
        assert_eq!(admitted(&mut endpoints, id, health(1, true), 3), 3);
        endpoints.learn(id, health(0, true));
        assert_eq!((endpoints.suspect, endpoints.healthy), (0, 3));
        assert!(endpoints.next().is_some());
        endpoints.ended(id, true, QUICK);
        assert_eq!(endpoints.give_up(None).len(), 2);
        assert_eq!(endpoints.held(), 0);
    }
}

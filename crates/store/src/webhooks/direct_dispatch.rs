//! Passes deliveries from the dispatcher directly to the sender. A delivery to a healthy endpoint is written with the
//! sender's lease and passed on after the commit, so nobody needs another transaction to find and claim it. If a
//! delivery is lost on the way, its lease expires, as with every claim.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::WebhookId;
use tokio::sync::Notify;

use crate::webhooks::queue::ClaimedBatch;

/// Connects the dispatcher and the sender of one process; cheap to clone. Until a sender opens it, nothing is passed.
#[derive(Clone, Default)]
pub struct DirectDispatch(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    given: Notify,
}

#[derive(Default)]
struct State {
    taken: bool,
    room: usize,
    closed: HashSet<WebhookId>,
    given: Vec<ClaimedBatch>,
}

impl DirectDispatch {
    /// Reserves room for a delivery to this webhook. Returns whether there is room.
    pub fn reserve(&self, webhook: WebhookId) -> bool {
        let mut state = self.lock();
        if state.room == 0 || state.closed.contains(&webhook) {
            return false;
        }
        state.room -= 1;
        true
    }

    /// Passes committed deliveries, or returns them if no sender takes them anymore.
    pub fn hand_off(&self, claim: ClaimedBatch) -> Option<ClaimedBatch> {
        let mut state = self.lock();
        if !state.taken {
            return Some(claim);
        }
        state.given.push(claim);
        drop(state);
        self.0.given.notify_one();
        None
    }

    /// Sets the sender's remaining room, and the webhooks for which it has none.
    pub fn open(&self, room: usize, closed: HashSet<WebhookId>) {
        let mut state = self.lock();
        state.taken = true;
        state.room = room;
        state.closed = closed;
    }

    /// Returns passed deliveries, waiting until there are some.
    pub async fn take(&self) -> Vec<ClaimedBatch> {
        loop {
            let given = std::mem::take(&mut self.lock().given);
            if !given.is_empty() {
                return given;
            }
            self.0.given.notified().await;
        }
    }

    /// Stops accepting deliveries, unless some are still waiting to be taken.
    pub fn close(&self) -> bool {
        let mut state = self.lock();
        if state.given.is_empty() {
            (state.taken, state.room) = (false, 0);
        }
        !state.taken
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use domain::Timestamp;

    use super::*;

    fn claim() -> ClaimedBatch {
        ClaimedBatch {
            lease: sea_orm::prelude::Uuid::new_v4(),
            until: Timestamp::now(),
            deliveries: Vec::new(),
            webhooks: HashMap::new(),
            events: HashMap::new(),
        }
    }

    #[test]
    fn what_is_reserved_is_what_there_is_room_for() {
        let (direct_dispatch, webhook, full) = (
            DirectDispatch::default(),
            WebhookId::new(),
            WebhookId::new(),
        );
        assert!(!direct_dispatch.reserve(webhook), "no sender yet");
        direct_dispatch.open(2, HashSet::from([full]));
        let reserved =
            [full, webhook, full, webhook, webhook].map(|id| direct_dispatch.reserve(id));
        assert_eq!(reserved, [false, true, false, true, false]);
        direct_dispatch.open(1, HashSet::new());
        assert!(direct_dispatch.reserve(full), "it has room again");
    }

    #[tokio::test]
    async fn what_is_given_is_taken_once_and_nothing_is_lost_at_the_end() {
        let (direct_dispatch, (first, second)) = (DirectDispatch::default(), (claim(), claim()));
        let leases = [first.lease, second.lease];
        assert!(direct_dispatch.hand_off(first).is_some(), "no sender yet");
        direct_dispatch.open(9, HashSet::new());
        assert!(direct_dispatch.hand_off(claim_of(leases[0])).is_none());
        assert!(direct_dispatch.hand_off(second).is_none());
        assert!(!direct_dispatch.close(), "two are still to be taken");
        let taken = direct_dispatch.take().await;
        assert_eq!(
            taken.iter().map(|claim| claim.lease).collect::<Vec<_>>(),
            leases
        );
        let more = tokio::time::timeout(Duration::from_millis(20), direct_dispatch.take()).await;
        assert!(more.is_err(), "there is no more");
        assert!(direct_dispatch.close());
        assert!(!direct_dispatch.reserve(WebhookId::new()));
        let late = direct_dispatch.hand_off(claim_of(leases[0])).unwrap();
        assert_eq!(late.lease, leases[0], "it comes back whole");
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let direct_dispatch = DirectDispatch::default();
        direct_dispatch.open(9, HashSet::new());
        let waiting = tokio::spawn({
            let direct_dispatch = direct_dispatch.clone();
            async move { direct_dispatch.take().await.len() }
        });
        tokio::task::yield_now().await;
        assert!(direct_dispatch.hand_off(claim()).is_none());
        assert_eq!(waiting.await.unwrap(), 1);
    }

    fn claim_of(lease: sea_orm::prelude::Uuid) -> ClaimedBatch {
        ClaimedBatch { lease, ..claim() }
    }
}

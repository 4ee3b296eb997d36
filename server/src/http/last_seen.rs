//! Records when users were last seen, but not at every request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use domain::SessionId;
use store::auth::sessions;

/// When each session was last recorded, so that a burst of requests writes once.
#[derive(Clone, Debug, Default)]
pub struct LastSeenTracker(Arc<Mutex<HashMap<SessionId, Instant>>>);

impl LastSeenTracker {
    /// Whether it is time to record this session again.
    pub fn is_due(&self, session: SessionId) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if seen
            .get(&session)
            .is_some_and(|at| now.duration_since(*at) < sessions::SEEN_EVERY)
        {
            return false;
        }
        if seen.len() > 10_000 {
            seen.retain(|_, at| now.duration_since(*at) < sessions::SEEN_EVERY);
        }
        seen.insert(session, now);
        true
    }
}

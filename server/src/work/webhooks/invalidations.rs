//! Which workspaces have open pages that must load new deliveries, at most a few times per second.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use domain::WorkspaceId;

/// The minimum interval between invalidations of open pages.
const INVALIDATION_INTERVAL: Duration = Duration::from_millis(300);

/// Workspaces whose pages need an invalidation, and when invalidations were last sent.
pub(super) struct PendingInvalidations {
    pub(super) waiting: BTreeSet<WorkspaceId>,
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
    pub(super) fn take(&mut self) -> BTreeSet<WorkspaceId> {
        if self.waiting.is_empty() || self.told.elapsed() < INVALIDATION_INTERVAL {
            return BTreeSet::new();
        }
        self.told = Instant::now();
        std::mem::take(&mut self.waiting)
    }
}

//! The last poll for due deliveries, and when the next one is allowed.

use std::time::{Duration, Instant};

use domain::WebhookId;

/// How long to wait without a signal: for due deliveries, for deliveries of other processes, and after an error.
const IDLE: Duration = Duration::from_millis(500);
/// The minimum wait before the next poll after a poll that found nothing. Every commit is a signal, and most commits
/// bring no deliveries.
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);
/// The same minimum as a multiple of the poll's duration, so that polls that scan thousands of deliveries of the other
/// queue do not keep a core busy.
const LOOK_SHARE: u32 = 20;

/// The result of the last poll for due deliveries.
pub(super) struct PollState {
    pub(super) at: Instant,
    /// How long the poll took.
    pub(super) took: Duration,
    /// Whether the poll found any deliveries.
    pub(super) found: bool,
    /// Whether the poll filled the available room, so that the healthy queue has more.
    pub(super) behind: bool,
    /// Webhooks that were excluded because they were full.
    pub(super) full: Vec<WebhookId>,
    /// Whether a poll has been skipped since.
    pub(super) missed: bool,
}

impl PollState {
    /// How long to wait for a signal before the next poll.
    pub(super) fn wait(&self) -> Duration {
        if self.missed { self.rest() } else { IDLE }
    }

    /// How long until another poll is allowed.
    pub(super) fn rest(&self) -> Duration {
        if self.found {
            return Duration::ZERO;
        }
        let rest = (self.took * LOOK_SHARE).clamp(BETWEEN_LOOKS, IDLE);
        rest.saturating_sub(self.at.elapsed())
    }
}

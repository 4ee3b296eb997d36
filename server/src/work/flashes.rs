//! Removes form responses that no page collected: they may hold one-time secrets, and wait for only two minutes.

use std::time::Duration;

use store::context::AppContext;
use store::flashes;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_mins(1);

pub async fn run(ctx: AppContext, stop: CancellationToken) {
    while crate::work::supervise::pause(EVERY, &stop).await {
        // A failure is logged where it happens; the next round tries again.
        if let Ok(removed @ 1..) = flashes::sweep(&ctx).await {
            tracing::debug!(removed, "removed answers to forms that no page came for");
        }
    }
}

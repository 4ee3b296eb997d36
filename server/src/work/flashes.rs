//! Removes answers to forms that no page came for: they may hold what is shown once, and wait for two minutes alone.

use std::time::Duration;

use app::context::AppContext;
use app::form::flashes;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_mins(1);

pub async fn run(ctx: AppContext, stop: CancellationToken) {
    while super::pause(EVERY, &stop).await {
        // A failure is logged where it happens; the next round tries again.
        if let Ok(removed @ 1..) = flashes::sweep(&ctx).await {
            tracing::debug!(removed, "removed answers to forms that no page came for");
        }
    }
}

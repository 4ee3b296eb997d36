//! Payments under way: the simulated provider's bank and what it has to tell, subscriptions that are due, and asking
//! again about what was not told.

use std::time::Duration;

use app::billing::engine;
use app::context::AppContext;
use app::domain::{AppError, Timestamp};
use app::payments::{simulated, store};
use app::settings::credits::top_up;
use tokio_util::sync::CancellationToken;

use super::pause;

const EVERY: Duration = Duration::from_secs(2);

pub async fn run(ctx: AppContext, stop: CancellationToken) {
    while pause(EVERY, &stop).await {
        // What fails is logged where it happens and tried again.
        if let Err(error) = round(&ctx, Timestamp::now()).await {
            tracing::warn!(%error, "payments under way could not all be seen to");
        }
    }
}

/// Sees to everything that is due by `now`.
pub async fn round(ctx: &AppContext, now: Timestamp) -> Result<(), AppError> {
    simulated::process_due(ctx, now).await?;
    simulated::deliver_events(ctx, now).await?;
    engine::process_due(ctx, now).await?;
    top_up::process_due(ctx, now).await?;
    store::reconcile_pending(ctx, now).await?;
    ctx.payments().delete_orphaned_customers(ctx).await?;
    Ok(())
}

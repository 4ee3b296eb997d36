//! Processes pending payments: the simulated provider's bank and events, due subscriptions, and polling for payments
//! whose outcome was not reported.

use std::time::Duration;

use domain::{AppError, Timestamp};
use store::billing::subscriptions;
use store::context::AppContext;
use store::credits::top_up;
use store::payments::simulated;
use store::settlement::{self, simulated_events};
use tokio_util::sync::CancellationToken;

use crate::work::supervise::pause;

const EVERY: Duration = Duration::from_secs(2);

pub async fn run(ctx: AppContext, stop: CancellationToken) {
    while pause(EVERY, &stop).await {
        // A failure is logged where it happens and retried.
        if let Err(error) = round(&ctx, Timestamp::now()).await {
            tracing::warn!(%error, "payments under way could not all be seen to");
        }
    }
}

/// Processes everything due by `now`.
pub async fn round(ctx: &AppContext, now: Timestamp) -> Result<(), AppError> {
    simulated::process_due(ctx.db(), now).await?;
    simulated_events::deliver_events(ctx, now).await?;
    subscriptions::process_due(ctx, now).await?;
    top_up::process_due(ctx, now).await?;
    settlement::reconcile_pending(ctx, now).await?;
    ctx.payments()
        .delete_orphaned_customers(ctx.provider_context())
        .await?;
    Ok(())
}

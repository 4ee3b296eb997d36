//! Small, regular cleanup.

use std::time::Duration;

use store::api_keys::usage;
use store::auth::sessions;
use store::context::AppContext;
use store::credits;
use store::payments::simulated;
use store::settlement::provider_webhook;
use store::webhooks::retention::delete_expired;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_mins(10);

pub async fn run(ctx: AppContext, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        ctx.limits().forget_idle();
        // A failure is logged where it happens; the next round tries again.
        if let Ok(removed @ 1..) = sessions::sweep(&ctx).await {
            tracing::debug!(removed, "swept ended sessions and dead links");
        }
        if let Ok(removed @ 1..) = usage::sweep(&ctx).await {
            tracing::debug!(removed, "swept old requests of API keys");
        }
        if let Ok(books @ 1..) = credits::sweep(&ctx).await {
            tracing::debug!(books, "let credits expire, or gave them back");
        }
        for swept in [
            provider_webhook::sweep(&ctx).await,
            simulated::sweep(ctx.db()).await,
        ] {
            if let Ok(removed @ 1..) = swept {
                tracing::debug!(removed, "deleted old payment provider events");
            }
        }
        if let Ok(touched @ 1..) = delete_expired(&ctx).await {
            tracing::debug!(touched, "forgot what is old of deliveries");
        }
    }
}

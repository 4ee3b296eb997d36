//! Writes down what API keys were used for: the request log each second, and when and from where each key was last
//! used at most once a minute. What is noted between two rounds waits in memory; a crash loses that and nothing else.

use std::time::Duration;

use app::context::AppContext;
use app::settings::api_keys::usage;
use tokio_util::sync::CancellationToken;

use super::pause;

const EVERY: Duration = Duration::from_secs(1);

pub async fn run(ctx: AppContext, stop: CancellationToken) {
    while pause(EVERY, &stop).await {
        // What could not be written waits for the next round.
        if let Err(error) = usage::flush_requests(&ctx).await {
            tracing::warn!(%error, "the request log could not be written");
        }
        if let Err(error) = usage::flush_uses(&ctx).await {
            tracing::warn!(%error, "the use of API keys could not be written down");
        }
    }
}

/// The last round, when no request is under way any more.
pub async fn finish(ctx: &AppContext) {
    if let Err(error) = usage::flush_all(ctx).await {
        tracing::warn!(%error, "the last use of API keys could not be written down");
    }
}

//! Records the use of API keys: the request log every second, and the time and origin of each key's last use at most
//! once a minute. Data waits in memory between rounds; a crash loses only that data.

use std::sync::Arc;
use std::time::Duration;

use store::api_keys::usage::{self, KeyUsage};
use store::context::AppContext;
use tokio_util::sync::CancellationToken;

use crate::work::supervise::pause;

const EVERY: Duration = Duration::from_secs(1);

/// `noted`: the usage that requests record.
pub async fn run(ctx: AppContext, noted: Arc<KeyUsage>, stop: CancellationToken) {
    while pause(EVERY, &stop).await {
        // Unwritten data waits for the next round.
        if let Err(error) = usage::flush_requests(&ctx, &noted).await {
            tracing::warn!(%error, "the request log could not be written");
        }
        if let Err(error) = usage::flush_uses(&ctx, &noted).await {
            tracing::warn!(%error, "the use of API keys could not be written down");
        }
    }
}

/// The last round, when no request is in progress anymore.
pub async fn finish(ctx: &AppContext, noted: &KeyUsage) {
    if let Err(error) = usage::flush_all(ctx, noted).await {
        tracing::warn!(%error, "the last use of API keys could not be written down");
    }
}

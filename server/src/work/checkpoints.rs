//! Checkpoints SQLite's write-ahead log regularly. Otherwise the next commit after the log has grown long would do it,
//! and every writer would wait for that.

use std::time::Duration;

use store::context::AppContext;
use tokio_util::sync::CancellationToken;

use crate::work::supervise::pause;

/// Does nothing if nothing was written.
const EVERY: Duration = Duration::from_secs(5);

pub async fn run(ctx: AppContext, stop: CancellationToken) {
    while pause(EVERY, &stop).await {
        if let Err(error) = ctx.db().checkpoint().await {
            tracing::warn!(%error, "SQLite's log could not be copied; it grows until it can");
        }
    }
}

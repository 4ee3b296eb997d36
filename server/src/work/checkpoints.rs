//! Copies SQLite's write-ahead log to where it belongs, again and again. Otherwise whoever happens to commit when the log
//! has grown long would do it, and everybody who writes would wait for that.

use std::time::Duration;

use app::context::AppContext;
use tokio_util::sync::CancellationToken;

use super::pause;

/// Nothing is done when nothing was written.
const EVERY: Duration = Duration::from_secs(5);

pub async fn run(ctx: AppContext, stop: CancellationToken) {
    while pause(EVERY, &stop).await {
        if let Err(error) = ctx.db().checkpoint().await {
            tracing::warn!(%error, "SQLite's log could not be copied; it grows until it can");
        }
    }
}

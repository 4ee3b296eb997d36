//! One email that sums up the notifications of a window that were too many to send individually.

use std::time::Duration;

use domain::Timestamp;
use store::context::AppContext;
use store::email::digest::send_due;
use tokio_util::sync::CancellationToken;

use crate::work::supervise::pause;

/// How often to check for windows that have ended.
const EVERY: Duration = Duration::from_secs(30);

pub async fn run(ctx: AppContext, stop: CancellationToken) {
    while pause(EVERY, &stop).await {
        loop {
            match send_due(&ctx, Timestamp::now()).await {
                Ok(1..) if !stop.is_cancelled() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "notifications could not be summed up; it will be tried again");
                    break;
                }
            }
        }
    }
}

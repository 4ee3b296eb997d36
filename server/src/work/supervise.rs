//! How workers run: restarted after a panic, and waiting between rounds.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long a worker rests after a panic: the cause most likely persists.
pub const PAUSE: Duration = Duration::from_secs(5);

/// Runs a worker until it ends by itself. Restarts it after a panic and a pause, because nobody would notice its
/// absence.
pub async fn supervise<R>(
    name: &'static str,
    stop: &CancellationToken,
    pause: Duration,
    run: impl Fn() -> R,
) where
    R: Future<Output = ()> + Send + 'static,
{
    while let Err(error) = tokio::spawn(run()).await {
        tracing::error!(worker = name, %error, "a worker panicked; it is started again");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Resolves when there may be work: after a commit of this process, or when `idle` ends, since other processes commit
/// too. Returns `false` when it is time to stop.
pub async fn wait_for_work(
    commits: &mut tokio::sync::watch::Receiver<u64>,
    idle: impl Future<Output = ()>,
    stop: &CancellationToken,
) -> bool {
    tokio::select! {
        () = stop.cancelled() => return false,
        _ = commits.changed() => {}
        () = idle => {}
    }
    true
}

/// Waits for the next round of periodic work. Returns `false` when it is time to stop.
pub async fn pause(time: Duration, stop: &CancellationToken) -> bool {
    let slept = stop.run_until_cancelled(tokio::time::sleep(time)).await;
    slept.is_some()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_worker_that_panics_is_started_again() {
        let starts = Arc::new(AtomicU32::new(0));
        let run = || {
            let starts = starts.clone();
            async move {
                assert!(
                    starts.fetch_add(1, Ordering::Relaxed) >= 2,
                    "stumbles twice"
                );
            }
        };
        let stop = CancellationToken::new();
        supervise("test", &stop, Duration::from_millis(1), run).await;
        assert_eq!(starts.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_worker_that_keeps_panicking_does_not_hold_up_the_end() {
        let stop = CancellationToken::new();
        let run = || async { panic!("always") };
        let supervised = supervise("test", &stop, Duration::from_mins(1), run);
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), supervised)
            .await
            .expect("it ends at once");
    }
}

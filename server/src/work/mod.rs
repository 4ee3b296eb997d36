//! The workers: what follows a change, after it. Each is a loop that a crash may end anywhere without harm, and that is
//! started again if it ends by a panic.

pub mod dispatch;
pub mod housekeeping;
pub mod mail;
mod notify;
pub mod relay;
mod smtp;

use std::future::Future;
use std::time::Duration;

use app::house::House;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use smtp::Route;

use crate::config::Config;
use crate::meters::Meters;

/// How long a worker rests after a panic: what it stumbled over is most likely still there.
const PAUSE: Duration = Duration::from_secs(5);

/// Starts every worker; they end when `stop` is cancelled.
pub fn start(
    workers: &TaskTracker,
    house: &House,
    config: &Config,
    meters: &Meters,
    stop: &CancellationToken,
) {
    let begin = |name, stop: &CancellationToken, run: Run| {
        workers.spawn(supervise(name, stop.clone(), PAUSE, run));
    };
    let (home, end) = (house.clone(), stop.clone());
    begin(
        "dispatcher",
        stop,
        Box::new(move || Box::pin(dispatch::run(home.clone(), end.clone()))),
    );
    let (home, end) = (house.clone(), stop.clone());
    begin(
        "housekeeping",
        stop,
        Box::new(move || Box::pin(housekeeping::run(home.clone(), end.clone()))),
    );
    if let Some(post) = mail::Post::new(config, meters) {
        let (home, end) = (house.clone(), stop.clone());
        begin(
            "mail",
            stop,
            Box::new(move || Box::pin(mail::run(home.clone(), post.clone(), end.clone()))),
        );
    }
    if config.database_url.starts_with("postgres") {
        let (home, url, end) = (house.clone(), config.database_url.clone(), stop.clone());
        begin(
            "relay",
            stop,
            Box::new(move || Box::pin(relay::run(home.clone(), url.clone(), end.clone()))),
        );
    }
}

/// Begins a worker, as often as need be.
type Run = Box<dyn Fn() -> futures::future::BoxFuture<'static, ()> + Send + Sync>;

/// Runs a worker until it ends by itself. One that panics is started again after a pause: it would be missed, and
/// nobody would notice.
async fn supervise(name: &'static str, stop: CancellationToken, pause: Duration, run: Run) {
    while let Err(error) = tokio::spawn(run()).await {
        tracing::error!(worker = name, %error, "a worker panicked; it is started again");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Resolves when there may be something to do: after a commit of this process, or when `idle` is over, since other
/// processes commit too. `false`: it is time to stop.
async fn cue(
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_worker_that_panics_is_started_again() {
        let starts = Arc::new(AtomicU32::new(0));
        let counted = starts.clone();
        let run: Run = Box::new(move || {
            let counted = counted.clone();
            Box::pin(async move {
                assert!(
                    counted.fetch_add(1, Ordering::Relaxed) >= 2,
                    "stumbles twice"
                );
            })
        });
        let pause = Duration::from_millis(1);
        supervise("test", CancellationToken::new(), pause, run).await;
        assert_eq!(starts.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_worker_that_keeps_panicking_does_not_hold_up_the_end() {
        let stop = CancellationToken::new();
        let run: Run = Box::new(|| Box::pin(async { panic!("always") }));
        let supervised = supervise("test", stop.clone(), Duration::from_mins(1), run);
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), supervised)
            .await
            .expect("it ends at once");
    }
}

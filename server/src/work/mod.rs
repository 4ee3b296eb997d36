//! The workers, which process the consequences of a change after it. Each is a loop that a crash can end anywhere
//! without harm, and that is restarted after a panic.

pub mod api_key_usage;
pub mod checkpoints;
pub mod digest;
pub mod dispatch;
pub mod email;
pub mod flashes;
pub mod housekeeping;
pub mod leases;
pub mod payments;
mod smtp;
pub mod webhooks;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use store::api_keys::usage::KeyUsage;
use store::context::AppContext;
use store::dispatch::DispatcherShard;
use store::live::pg_notify;
use store::webhooks::direct_dispatch::DirectDispatch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use webhooks::QueueClass;

use crate::config::Config;
use crate::metrics::Metrics;

pub use smtp::SmtpEndpoint;

/// How long a worker rests after a panic: the cause most likely persists.
const PAUSE: Duration = Duration::from_secs(5);

/// Starts every worker; they end when `stop` is cancelled.
pub fn start(
    workers: &TaskTracker,
    ctx: &AppContext,
    config: &Config,
    metrics: &Metrics,
    key_usage: &Arc<KeyUsage>,
    stop: &CancellationToken,
) {
    let spawner = WorkerSpawner { workers, ctx, stop };
    let direct_dispatch = DirectDispatch::default();
    for (name, shard) in [
        ("dispatcher", DispatcherShard::FewWebhooks),
        ("wide dispatcher", DispatcherShard::ManyWebhooks),
    ] {
        let given = direct_dispatch.clone();
        spawner.begin(name, move |ctx, stop| {
            dispatch::run(ctx, shard, given.clone(), stop)
        });
    }
    spawner.begin("digests", digest::run);
    spawner.begin("housekeeping", housekeeping::run);
    spawner.begin("flashes", flashes::run);
    let noted = key_usage.clone();
    spawner.begin("keys", move |ctx, stop| {
        api_key_usage::run(ctx, noted.clone(), stop)
    });
    spawner.begin("payments", payments::run);
    if let Some(post) = email::MailerConfig::new(config, metrics) {
        spawner.begin("mail", move |ctx, stop| email::run(ctx, post.clone(), stop));
    }
    let client = webhooks::attempt::WebhookClient::new(
        Arc::new(webhooks::connector::System),
        ctx.webhooks().clone(),
    );
    let settings = webhooks::Settings {
        client,
        waits: config.webhook_waits.clone().into(),
    };
    for (name, queue_class, direct_dispatch) in [
        ("webhooks", QueueClass::Healthy, direct_dispatch),
        (
            "failing webhooks",
            QueueClass::Failing,
            DirectDispatch::default(),
        ),
    ] {
        let settings = settings.clone();
        spawner.begin(name, move |ctx, stop| {
            webhooks::run(
                ctx,
                settings.clone(),
                queue_class,
                direct_dispatch.clone(),
                stop,
            )
        });
    }
    if config.database_url.starts_with("postgres") {
        let url = config.database_url.clone();
        spawner.begin("relay", move |ctx, stop| {
            pg_notify::run(ctx, url.clone(), stop)
        });
    } else {
        spawner.begin("checkpoints", checkpoints::run);
    }
}

/// The shared arguments of every worker.
struct WorkerSpawner<'a> {
    workers: &'a TaskTracker,
    ctx: &'a AppContext,
    stop: &'a CancellationToken,
}

impl WorkerSpawner<'_> {
    fn begin<F, R>(&self, name: &'static str, run: F)
    where
        F: Fn(AppContext, CancellationToken) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let (ctx, stop) = (self.ctx.clone(), self.stop.clone());
        self.workers.spawn(async move {
            supervise(name, &stop, PAUSE, || run(ctx.clone(), stop.clone())).await;
        });
    }
}

/// Runs a worker until it ends by itself. Restarts it after a panic and a pause, because nobody would notice its
/// absence.
async fn supervise<R>(
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
async fn wait_for_work(
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
async fn pause(time: Duration, stop: &CancellationToken) -> bool {
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

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
pub mod smtp;
mod supervise;
pub mod webhooks;

use std::future::Future;
use std::sync::Arc;

use store::api_keys::usage::KeyUsage;
use store::context::AppContext;
use store::dispatch::DispatcherShard;
use store::live::pg_notify;
use store::webhooks::direct_dispatch::DirectDispatch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use webhooks::QueueClass;

use self::supervise::{PAUSE, supervise};
use crate::config::Config;
use crate::metrics::Metrics;

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

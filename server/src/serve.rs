//! Starting and stopping.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use leptos::config::{LeptosOptions, get_config_from_str};
use store::billing::subscriptions;
use store::context::{AppContext, Site};
use store::demo;
use store::passwords::Passwords;
use store::rate_limit::auth::AuthLimits as RateLimits;
use store::webhooks::address::Policy;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Config, ConfigError, StripeAccount, reachable};
use crate::http::listen::{self, ConnectionLimits};
use crate::metrics::Metrics;
use crate::payments::stripe::Stripe;
use crate::start::{self, Absent};
use crate::state::AppState;
use crate::work::leases::Keeper;
use crate::{http, work};

/// The maximum number of passwords hashed at the same time: 19 MiB each.
const HASHES_AT_ONCE: usize = 2;
/// How long open requests and jobs can take after the signal to stop.
const GRACE: Duration = Duration::from_secs(20);

/// Our own crates. Messages of other crates below INFO can contain anything: SQL with values, headers with cookies, the
/// conversation with the SMTP server.
const OURS: [&str; 4] = ["wheelhouse", "app", "store", "domain"];

/// What can be logged, regardless of `WHEELHOUSE_LOG`.
fn may_be_logged(meta: &Metadata<'_>) -> bool {
    let root = meta.target().split("::").next().unwrap_or_default();
    *meta.level() <= Level::INFO || OURS.contains(&root)
}

/// A log subscriber for this configuration.
pub fn logs<W>(config: &Config, writer: W) -> Result<impl Subscriber + Send + Sync, ConfigError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Every start checks for migrations and would log that there are none.
    let filter = EnvFilter::try_new(format!("sea_orm_migration=warn,{}", config.log))
        .map_err(|error| ConfigError::new("WHEELHOUSE_LOG", error))?;
    let lines = fmt::layer().with_writer(writer);
    let lines = if config.log_json {
        lines.json().flatten_event(true).boxed()
    } else {
        lines.with_target(false).boxed()
    };
    Ok(tracing_subscriber::registry()
        .with(filter)
        .with(lines.with_filter(filter_fn(may_be_logged))))
}

pub fn init_logs(config: &Config) -> Result<(), ConfigError> {
    // A second start in one process, as in tests, keeps the first subscriber.
    let _ = logs(config, std::io::stderr)?.try_init();
    Ok(())
}

/// Opens the database and builds the context. `absent`: what to do if the database or the key does not exist.
pub async fn open(config: &Config, demo: bool, absent: Absent) -> Result<AppContext> {
    let (db, master_key) = match absent {
        Absent::Make => start::set_up(config).await?,
        Absent::Refuse => start::existing_with_key(config).await?,
    };
    let site = Site {
        public_url: config.public_url.clone(),
        sends_mail: config.smtp.is_some(),
        demo,
    };
    let limits = if config.rate_limit {
        RateLimits::on()
    } else {
        RateLimits::off()
    };
    let ctx = AppContext::new(db, site, master_key, Passwords::new(HASHES_AT_ONCE), limits);
    ctx.set_catalog(config.catalog.clone());
    if let Some(account) = config.stripe.clone() {
        let StripeAccount {
            api_base,
            secret_key,
            webhook_secret,
        } = account;
        ctx.set_payments(Arc::new(Stripe::new(&api_base, secret_key, webhook_secret)));
    }
    ctx.set_webhooks(Policy::allowing(config.webhook_allow.clone()));
    Ok(ctx)
}

/// The options of Leptos: from the compiled-in file, cargo-leptos, and the directory of the site files.
pub fn leptos_options(config: &Config) -> Result<LeptosOptions> {
    let mut options = get_config_from_str(include_str!("../../Leptos.toml"))
        .context("cannot read Leptos.toml")?;
    options.site_addr = config.addr;
    if let Some(root) = config.site_root.clone().or_else(site_beside_program) {
        options.site_root = root.to_string_lossy().as_ref().into();
    }
    // The release build writes a list of hashed names beside the program; a plain `cargo build` does not.
    let list = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join(options.hash_file.as_ref())));
    options.hash_files = options.hash_files && list.is_some_and(|list| list.exists());
    Ok(options)
}

fn site_beside_program() -> Option<PathBuf> {
    let site = std::env::current_exe().ok()?.parent()?.join("site");
    site.is_dir().then_some(site)
}

pub async fn serve(config: Config, demo: bool) -> Result<()> {
    let ctx = open(&config, demo, Absent::Make).await?;
    let people = if demo {
        demo_people(&ctx).await?
    } else {
        Vec::new()
    };
    let missing = subscriptions::plans_that_are_missing(&ctx).await;
    let missing = missing.context("cannot check the plans of the subscriptions")?;
    if !missing.is_empty() {
        let problem = format!(
            "has no plans with these IDs, but workspaces are subscribed to them: {}",
            missing.join(", ")
        );
        return Err(ConfigError::new("WHEELHOUSE_CATALOG", problem).into());
    }
    let options = leptos_options(&config)?;
    let listener = TcpListener::bind(config.addr).await.map_err(|error| {
        let problem = format!("cannot listen on {}: {error}", config.addr);
        ConfigError::new("WHEELHOUSE_ADDR", problem)
    })?;
    let addr = listener.local_addr()?;
    let (stop, metrics, workers) = (
        CancellationToken::new(),
        Metrics::default(),
        TaskTracker::new(),
    );
    let keeper = Keeper::begin(&ctx, &config.database_url).await?;
    let state = AppState::new(&ctx, options, &config, metrics.clone(), stop.clone());
    let key_usage = state.key_usage.clone();
    work::start(&workers, &ctx, &config, &metrics, &key_usage, &stop);
    let router = http::router(state);
    announce(&config, addr, &people);

    let signal_stop = stop.clone();
    tokio::spawn(async move {
        wait_for_signal().await;
        tracing::info!("stopping: finishing open requests and jobs");
        signal_stop.cancel();
    });
    let limits = ConnectionLimits {
        grace: GRACE,
        ..ConnectionLimits::default()
    };
    let open = metrics.connections().clone();
    listen::serve(listener, router, limits, open, stop).await;
    workers.close();
    let finished = tokio::time::timeout(GRACE, workers.wait()).await.is_ok();
    if !finished {
        tracing::warn!("some workers did not finish in time; other processes take over their jobs");
    }
    keeper.end(finished).await;
    work::api_key_usage::finish(&ctx, &key_usage).await;
    ctx.db().clone().close().await?;
    tracing::info!("stopped");
    Ok(())
}

/// Fills an empty database with the demo. Refuses a database with real accounts: their email would be public at
/// `/outbox`, and the printed demo accounts would not exist.
async fn demo_people(ctx: &AppContext) -> Result<Vec<demo::DemoPerson>> {
    if !demo::is_demo_or_empty(ctx).await? {
        let problem = "this database has real accounts, and the demo shows everybody's email; set WHEELHOUSE_DATABASE_URL to \
                       another database, or omit --demo";
        return Err(ConfigError::new("WHEELHOUSE_DEMO", problem).into());
    }
    // A second process waits here and then finds the demo.
    let lock = ctx.db().lock_setup().await?;
    let people = demo::demo(ctx)
        .await
        .context("cannot create the demo data")?;
    lock.release().await?;
    Ok(people)
}

fn announce(config: &Config, addr: SocketAddr, people: &[demo::DemoPerson]) {
    tracing::info!(%addr, public_url = config.public_url, "listening");
    println!("\nWheelhouse is at {}\n", config.public_url);
    if !people.is_empty() {
        println!("Demo sign-ins, password “{}”:", demo::PASSWORD);
        for person in people {
            println!("  {:<26} {}", person.email, person.who);
        }
        println!();
    }
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Asks `/readyz` of the server that this configuration describes.
pub async fn healthcheck(config: &Config) -> Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let addr = reachable(config.addr);
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect(addr).await?;
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), ask)
        .await
        .context("no response within 5 seconds")??;
    if answer.starts_with("HTTP/1.1 200") {
        println!("ready");
        return Ok(());
    }
    bail!(
        "not ready: {}",
        answer.lines().next().unwrap_or("no response")
    )
}

//! Starting and stopping.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use app::db::{Db, seed};
use app::house::{House, Site};
use app::keyring::Keyring;
use app::limits::Limits;
use app::passwords::Passwords;
use app::settings::webhooks::address::Policy;
use leptos::config::{LeptosOptions, get_config_from_str};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Config, ConfigError, KeySource};
use crate::{http, work};

/// How many passwords may be hashed at once: 19 MiB each.
const HASHES_AT_ONCE: usize = 2;
/// How long what is under way may take after the signal to stop.
const GRACE: Duration = Duration::from_secs(20);

pub fn init_logs(config: &Config) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|error| ConfigError::new("WHEELHOUSE_LOG", error))?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = if config.log_json {
        registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr),
            )
            .try_init()
    } else {
        registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_target(false)
                    .with_writer(std::io::stderr),
            )
            .try_init()
    };
    // A second start in one process, as in tests, keeps the first one's logs.
    let _ = started;
    Ok(())
}

/// Opens the database, brings it up to date, and puts the house together.
pub async fn open(config: &Config, demo: bool) -> Result<House> {
    let keyring = match &config.secret_key {
        KeySource::Given(keyring) => keyring.clone(),
        KeySource::File(path) => read_or_make_key(path)?,
    };
    make_folder_of(&config.database_url)?;
    let db = Db::connect(&config.database_url)
        .await
        .context("WHEELHOUSE_DATABASE_URL: cannot open the database")?;
    db.migrate().await.context("migrating the database")?;
    let site = Site {
        public_url: config.public_url.clone(),
        sends_mail: config.smtp_url.is_some(),
        demo,
    };
    let limits = if config.rate_limit {
        Limits::on()
    } else {
        Limits::off()
    };
    let house = House::new(db, site, keyring, Passwords::new(HASHES_AT_ONCE), limits);
    house.set_webhooks(Policy::allowing(config.webhook_allow.clone()));
    Ok(house)
}

fn make_folder_of(database_url: &str) -> Result<()> {
    let Some(path) = database_url.strip_prefix("sqlite://") else {
        return Ok(());
    };
    let path = Path::new(path.split('?').next().unwrap_or(path));
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::create_dir_all(folder)
            .with_context(|| {
                format!(
                    "WHEELHOUSE_DATABASE_URL: cannot make the folder {}",
                    folder.display()
                )
            }),
        _ => Ok(()),
    }
}

/// The key seals what must be read back: it is made once, for the owner's eyes alone.
fn read_or_make_key(path: &Path) -> Result<Keyring> {
    use std::os::unix::fs::OpenOptionsExt;
    let explain = || {
        format!(
            "WHEELHOUSE_SECRET_KEY is not set, and the key file {} cannot be used",
            path.display()
        )
    };
    if let Ok(text) = std::fs::read_to_string(path) {
        return Keyring::parse(&text)
            .map_err(|problem| anyhow::anyhow!("{}: {problem}", explain()));
    }
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).with_context(explain)?;
    }
    let text = Keyring::generate();
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(explain)?;
    file.write_all(text.as_bytes()).with_context(explain)?;
    file.sync_all().with_context(explain)?;
    Keyring::parse(&text).map_err(anyhow::Error::msg)
}

/// Leptos's own options: the compiled-in file, what cargo-leptos says, and where the browser's files lie.
pub fn leptos_options(config: &Config) -> Result<LeptosOptions> {
    let mut options =
        get_config_from_str(include_str!("../../Leptos.toml")).context("reading Leptos.toml")?;
    options.site_addr = config.addr;
    if let Some(root) = config.site_root.clone().or_else(site_beside_program) {
        options.site_root = root.to_string_lossy().as_ref().into();
    }
    // Hashed names are listed beside the program by the release build; a bare `cargo build` makes no such list.
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
    let house = open(&config, demo).await?;
    let people = if demo {
        seed::demo(&house)
            .await
            .context("filling in the demo data")?
    } else {
        Vec::new()
    };
    let options = leptos_options(&config)?;
    let listener = TcpListener::bind(config.addr).await.with_context(|| {
        format!(
            "WHEELHOUSE_ADDR: cannot listen on {}; is another server running there?",
            config.addr
        )
    })?;
    let addr = listener.local_addr()?;
    let stop = CancellationToken::new();
    let workers = TaskTracker::new();
    work::start(&workers, &house, &config, &stop)?;
    let router = http::router(&house, options, &config, stop.clone());
    announce(&config, addr, &people);

    let signal_stop = stop.clone();
    tokio::spawn(async move {
        wait_for_signal().await;
        tracing::info!("stopping: finishing what is under way");
        signal_stop.cancel();
    });
    let graceful = stop.clone();
    let server = axum::serve(
        listener,
        router.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(async move { graceful.cancelled().await });
    let deadline = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = server => result?,
        () = deadline => tracing::warn!("some requests did not finish in time"),
    }
    stop.cancel();
    workers.close();
    if tokio::time::timeout(GRACE, workers.wait()).await.is_err() {
        tracing::warn!("some workers did not finish in time; their leases will run out");
    }
    house.db().clone().close().await?;
    tracing::info!("stopped");
    Ok(())
}

fn announce(config: &Config, addr: SocketAddr, people: &[seed::DemoPerson]) {
    tracing::info!(%addr, public_url = config.public_url, "listening");
    println!("\nWheelhouse is at {}\n", config.public_url);
    if !people.is_empty() {
        println!("Demo sign-ins, password “{}”:", seed::PASSWORD);
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
    let mut addr = config.addr;
    if addr.ip().is_unspecified() {
        addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
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
        .context("no answer in 5 seconds")??;
    if answer.starts_with("HTTP/1.1 200") {
        println!("ready");
        return Ok(());
    }
    bail!(
        "not ready: {}",
        answer.lines().next().unwrap_or("no answer")
    )
}

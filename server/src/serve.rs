//! Starting and stopping.

use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use app::billing::engine;
use app::db::{Db, seed};
use app::house::{House, Site};
use app::keyring::Keyring;
use app::limits::Limits as RateLimits;
use app::passwords::Passwords;
use app::settings::webhooks::address::Policy;
use leptos::config::{LeptosOptions, get_config_from_str};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, layer::SubscriberExt};

use crate::config::{Config, ConfigError, KeySource, StripeAccount, reachable};
use crate::http::AppState;
use crate::http::listen::{self, Limits};
use crate::meters::Meters;
use crate::payments::stripe::Stripe;
use crate::{http, work};

/// How many passwords may be hashed at once: 19 MiB each.
const HASHES_AT_ONCE: usize = 2;
/// How long what is under way may take after the signal to stop.
const GRACE: Duration = Duration::from_secs(20);

/// Crates of ours. What others write below INFO may hold whatever passes through them: statements with their values,
/// headers with cookies, the conversation with the mail server.
const OURS: [&str; 2] = ["wheelhouse", "app"];

/// What may be logged at all, whatever `WHEELHOUSE_LOG` asks for.
fn may_be_logged(meta: &Metadata<'_>) -> bool {
    let root = meta.target().split("::").next().unwrap_or_default();
    *meta.level() <= Level::INFO || OURS.contains(&root)
}

/// Writes logs as this configuration wants them.
pub fn logs<W>(config: &Config, writer: W) -> Result<impl Subscriber + Send + Sync, ConfigError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Every start looks for migrations and would say at length that there are none.
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
    // A second start in one process, as in tests, keeps the first one's logs.
    let _ = logs(config, std::io::stderr)?.try_init();
    Ok(())
}

/// Opens the database, brings it up to date, and puts the house together.
pub async fn open(config: &Config, demo: bool) -> Result<House> {
    make_folder_of(&config.database_url)?;
    let keyring = match &config.secret_key {
        KeySource::Given(keyring) => keyring.clone(),
        KeySource::File(path) => read_or_make_key(path)?,
    };
    let db = Db::connect(&config.database_url)
        .await
        .map_err(|error| database("cannot open the database", error))?;
    db.migrate()
        .await
        .map_err(|error| database("cannot bring the schema up to date", error))?;
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
    let house = House::new(db, site, keyring, Passwords::new(HASHES_AT_ONCE), limits);
    house.set_catalog(config.catalog.clone());
    if let Some(account) = config.stripe.clone() {
        let StripeAccount {
            api_base,
            secret_key,
            webhook_secret,
        } = account;
        house.set_payments(Arc::new(Stripe::new(&api_base, secret_key, webhook_secret)));
    }
    house.set_webhooks(Policy::allowing(config.webhook_allow.clone()));
    Ok(house)
}

fn database(what: &str, error: impl Display) -> ConfigError {
    ConfigError::new("WHEELHOUSE_DATABASE_URL", format!("{what}: {error}"))
}

/// Makes the folder and the file of an SQLite database for its owner's eyes alone: everybody's addresses stand in it.
/// What is there already keeps the rights that the operator gave it.
fn make_folder_of(database_url: &str) -> Result<(), ConfigError> {
    let Some(path) = database_url.strip_prefix("sqlite://") else {
        return Ok(());
    };
    let path = Path::new(path.split('?').next().unwrap_or(path));
    let explain = |error| database(&format!("cannot make the file {}", path.display()), error);
    make_private_folder(path).map_err(explain)?;
    // SQLite gives its journals the rights of the file. A path with escapes in it is left to SQLite to read and make.
    let name = path.to_string_lossy();
    if !name.contains('%') && name != ":memory:" {
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(explain)?;
    }
    Ok(())
}

/// Makes the folder that a file is to lie in, for its owner alone.
fn make_private_folder(file: &Path) -> std::io::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder),
        _ => Ok(()),
    }
}

/// The key seals what must be read back: it is made once, for the owner's eyes alone.
fn read_or_make_key(path: &Path) -> Result<Keyring, ConfigError> {
    let explain = |problem: &dyn Display| {
        ConfigError::new(
            "WHEELHOUSE_SECRET_KEY",
            format!(
                "is not set, and the key file {} cannot be used: {problem}",
                path.display()
            ),
        )
    };
    match std::fs::read_to_string(path) {
        Ok(text) => return Keyring::parse(&text).map_err(|problem| explain(&problem)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(explain(&error)),
    }
    let text = Keyring::generate();
    write_key(path, &text).map_err(|error| explain(&error))?;
    Keyring::parse(&text).map_err(|problem| explain(&problem))
}

fn write_key(path: &Path, text: &str) -> std::io::Result<()> {
    make_private_folder(path)?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
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
        demo_people(&house).await?
    } else {
        Vec::new()
    };
    let missing = engine::plans_that_are_missing(&house).await;
    let missing = missing.context("looking for plans that are subscribed to")?;
    if !missing.is_empty() {
        let problem = format!(
            "lacks plans that workspaces are subscribed to, by these ids: {}",
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
    let (stop, meters, workers) = (
        CancellationToken::new(),
        Meters::default(),
        TaskTracker::new(),
    );
    work::start(&workers, &house, &config, &meters, &stop);
    let state = AppState::new(&house, options, &config, meters.clone(), stop.clone());
    let router = http::router(state);
    announce(&config, addr, &people);

    let signal_stop = stop.clone();
    tokio::spawn(async move {
        wait_for_signal().await;
        tracing::info!("stopping: finishing what is under way");
        signal_stop.cancel();
    });
    let limits = Limits {
        grace: GRACE,
        ..Limits::default()
    };
    let open = meters.connections().clone();
    listen::serve(listener, router, limits, open, stop).await;
    workers.close();
    if tokio::time::timeout(GRACE, workers.wait()).await.is_err() {
        tracing::warn!("some workers did not finish in time; their leases will run out");
    }
    work::keys::finish(&house).await;
    house.db().clone().close().await?;
    tracing::info!("stopped");
    Ok(())
}

/// Fills an empty database with the demo. One that other people live in is none: their mail would lie open at
/// `/outbox`, and the sign-ins would be false.
async fn demo_people(house: &House) -> Result<Vec<seed::DemoPerson>> {
    if !seed::is_demo_or_empty(house).await? {
        let problem = "this database holds people of its own, and a demo shows everybody's mail; name another \
                       database by WHEELHOUSE_DATABASE_URL, or leave --demo away";
        return Err(ConfigError::new("WHEELHOUSE_DEMO", problem).into());
    }
    seed::demo(house).await.context("filling in the demo data")
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn rights(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn database_and_key_are_for_their_owner_alone() {
        let root = std::env::temp_dir().join(format!("wheelhouse-rights-{}", std::process::id()));
        let folder = root.join("data/deep");
        let (database, key) = (folder.join("house.db"), folder.join("keys/secret.key"));
        make_folder_of(&format!("sqlite://{}?mode=rwc", database.display())).unwrap();
        read_or_make_key(&key).unwrap();
        read_or_make_key(&key).unwrap();
        for made in [root.as_path(), &folder, &folder.join("keys")] {
            assert_eq!(rights(made), 0o700, "{}", made.display());
        }
        for made in [&database, &key] {
            assert_eq!(rights(made), 0o600, "{}", made.display());
        }
        std::fs::write(&database, "kept").unwrap();
        make_folder_of(&format!("sqlite://{}", database.display())).unwrap();
        assert_eq!(std::fs::read_to_string(&database).unwrap(), "kept");
        std::fs::remove_dir_all(root).unwrap();
    }
}

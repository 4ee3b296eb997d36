//! Takes over the leases of a process that no longer runs, such as deliveries and emails in progress when it crashed,
//! so that nobody waits for each lease to expire.
//!
//! On SQLite there is one server, which locks a file beside the database while it runs. The lock's owner knows that
//! every lease of another process is left over, and releases it. A second server, such as one that starts while the
//! previous one still finishes its work, waits for the lock and does not touch those leases until then.
//!
//! On PostgreSQL a process sends a heartbeat every [`SAYS`], over its own connection so that load on the others does
//! not delay it. A process without a heartbeat for [`PROCESS_LEASE`], by the database's clock, is dead: any other
//! process releases its leases and deletes its row. If it returns, it notices and starts over: it writes nothing under
//! its old leases and starts nothing that it had leased.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::AppError;
use store::context::AppContext;
use store::leases::processes::{HeartbeatConnection, free_all_but_own, release_dead_processes};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::work::supervise::{PAUSE, pause, supervise};

/// How often a process sends a heartbeat and looks for processes that do not.
const SAYS: Duration = Duration::from_secs(2);
/// How often a second server on SQLite tries to get the lock.
const TRIES: Duration = Duration::from_millis(500);

/// Protects this process's leases while it runs, and takes over the leases of dead processes.
pub struct Keeper {
    ctx: AppContext,
    means: Means,
    stop: CancellationToken,
    keeping: JoinHandle<()>,
}

/// How other processes know that this one is alive.
#[derive(Clone)]
enum Means {
    Lock(Arc<Lock>),
    Heartbeat(HeartbeatConnection),
}

impl Keeper {
    /// Call before leasing anything. On return, leases left by a crash are released if their owner is known to be dead.
    pub async fn begin(ctx: &AppContext, database_url: &str) -> Result<Self, AppError> {
        let means = if ctx.db().is_postgres() {
            let own = HeartbeatConnection::open(database_url).await?;
            own.record(ctx).await?;
            release_dead_processes(ctx).await?;
            Means::Heartbeat(own)
        } else {
            let lock = Lock::beside(ctx).await?;
            if lock.try_take() {
                free_all_but_own(ctx).await?;
            } else {
                tracing::warn!(
                    "another server is at work on this database; what it holds is left to it until it ends"
                );
            }
            Means::Lock(Arc::new(lock))
        };
        let stop = CancellationToken::new();
        let keeping = tokio::spawn({
            let (ctx, means, stop) = (ctx.clone(), means.clone(), stop.clone());
            async move {
                let run = || keep(ctx.clone(), means.clone(), stop.clone());
                supervise("leases", &stop, PAUSE, run).await;
            }
        });
        Ok(Self {
            ctx: ctx.clone(),
            means,
            stop,
            keeping,
        })
    }

    /// Call after all work has ended: `clean` means that nothing is leased anymore.
    pub async fn end(self, clean: bool) {
        self.stop.cancel();
        let _ = self.keeping.await;
        if let Means::Heartbeat(own) = &self.means {
            if clean && let Err(error) = own.forget(&self.ctx).await {
                tracing::warn!(%error, "this process could not sign off; others will treat it as dead");
            }
            own.close().await;
        }
    }
}

async fn keep(ctx: AppContext, means: Means, stop: CancellationToken) {
    match means {
        Means::Lock(lock) => {
            while !lock.is_taken() && pause(TRIES, &stop).await {
                if lock.try_take()
                    && let Err(error) = free_all_but_own(&ctx).await
                {
                    tracing::warn!(%error, "leases of the server before could not be freed; they run out");
                }
            }
        }
        Means::Heartbeat(own) => {
            while pause(SAYS, &stop).await {
                if let Err(error) = own.record(&ctx).await {
                    tracing::warn!(%error, "this process could not say that it is there; it will try again");
                    continue;
                }
                if let Err(error) = release_dead_processes(&ctx).await {
                    tracing::warn!(%error, "what dead processes lease could not be freed; it will be tried again");
                }
            }
        }
    }
}

/// A lock on a file beside an SQLite database. The system releases it however the process ends.
struct Lock {
    /// `None`: an in-memory database, which nobody else can open.
    path: Option<PathBuf>,
    file: Mutex<Option<File>>,
}

impl Lock {
    async fn beside(ctx: &AppContext) -> Result<Self, AppError> {
        let path = ctx.db().sqlite_file().await?;
        let path = path.map(|file| format!("{file}-server").into());
        Ok(Self {
            path,
            file: Mutex::default(),
        })
    }

    fn is_taken(&self) -> bool {
        self.path.is_none() || self.file().is_some()
    }

    /// Whether this process is the only server from now on. If the file cannot be locked, this is unknown, and leases
    /// are left to expire.
    fn try_take(&self) -> bool {
        let Some(path) = &self.path else {
            return true;
        };
        let opened = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path);
        match opened.and_then(|file| match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }) {
            Ok(Some(file)) => {
                *self.file() = Some(file);
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "the file cannot be locked");
                false
            }
        }
    }

    fn file(&self) -> std::sync::MutexGuard<'_, Option<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

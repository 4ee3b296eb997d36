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
use std::time::{Duration, Instant};

use domain::webhooks::DeliveryStatus;
use domain::{AppError, DeliveryId, EmailId, Timestamp};
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend,
    EntityTrait, QueryFilter, QuerySelect, Statement,
};
use store::context::AppContext;
use store::db::Tx;
use store::db::entity::{self, delivery, outbox_email, process};
use store::leases::{Leases, PROCESS_LEASE};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{PAUSE, pause, supervise};

/// How often a process sends a heartbeat and looks for processes that do not.
const SAYS: Duration = Duration::from_secs(2);
/// How often a second server on SQLite tries to get the lock.
const TRIES: Duration = Duration::from_millis(500);
/// How many leases one transaction releases.
const BATCH_SIZE: usize = 500;
/// The current time of PostgreSQL's clock in milliseconds.
const NOW: &str = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)";

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
    Heartbeat(DatabaseConnection),
}

impl Keeper {
    /// Call before leasing anything. On return, leases left by a crash are released if their owner is known to be dead.
    pub async fn begin(ctx: &AppContext, database_url: &str) -> Result<Self, AppError> {
        let means = if ctx.db().backend() == DbBackend::Postgres {
            let mut own = ConnectOptions::new(database_url);
            own.max_connections(1)
                .min_connections(0)
                .acquire_timeout(PROCESS_LEASE)
                .sqlx_logging(false);
            let own = Database::connect(own).await?;
            record_heartbeat(ctx, &own).await?;
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
            if clean && let Err(error) = forget(own, self.ctx.leases().process()).await {
                tracing::warn!(%error, "this process could not sign off; others will treat it as dead");
            }
            let _ = own.close_by_ref().await;
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
                if let Err(error) = record_heartbeat(&ctx, &own).await {
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
        // The path as SQLite itself resolved it. Not the database file: closing that elsewhere in the process would
        // release SQLite's own locks on it.
        let ask = Statement::from_string(DbBackend::Sqlite, "PRAGMA database_list");
        let row = ctx.db().read().query_one_raw(ask).await?;
        let file: Option<String> = row.map(|row| row.try_get("", "file")).transpose()?;
        let path = file
            .filter(|file| !file.is_empty())
            .map(|file| format!("{file}-server").into());
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

/// Sends a heartbeat. If this process was declared dead meanwhile, it starts over.
pub async fn record_heartbeat(
    ctx: &AppContext,
    own: &impl ConnectionTrait,
) -> Result<(), AppError> {
    let (leases, at) = (ctx.leases(), (Instant::now(), Timestamp::now()));
    let process = leases.process();
    // The first time there is no row, and nothing is leased yet.
    if leases.has_heartbeat() {
        let update = format!("UPDATE processes SET seen_at = {NOW} WHERE id = $1");
        if execute(own, update, process).await? == 1 {
            leases.record_heartbeat(at);
            return Ok(());
        }
        tracing::warn!("this process was taken for dead, and what it held is left to others");
    }
    let process = Leases::new_process();
    let insert = format!("INSERT INTO processes (id, seen_at) VALUES ($1, {NOW})");
    execute(own, insert, process).await?;
    leases.begin_anew(process, at);
    Ok(())
}

async fn forget(own: &impl ConnectionTrait, process: Uuid) -> Result<(), AppError> {
    execute(
        own,
        "DELETE FROM processes WHERE id = $1".to_owned(),
        process,
    )
    .await?;
    Ok(())
}

async fn execute(own: &impl ConnectionTrait, sql: String, process: Uuid) -> Result<u64, AppError> {
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [process.into()]);
    Ok(own.execute_raw(statement).await?.rows_affected())
}

/// Releases the leases of dead processes. Only PostgreSQL tracks processes.
pub async fn release_dead_processes(ctx: &AppContext) -> Result<(), AppError> {
    let silent = Expr::cust(format!("seen_at < {NOW} - {}", PROCESS_LEASE.as_millis()));
    let dead: Vec<Uuid> = entity::Process::find()
        .filter(silent.clone())
        .select_only()
        .column(process::Column::Id)
        .into_tuple()
        .all(ctx.db().read())
        .await?;
    for process in dead {
        let tx = ctx.db().begin().await?;
        // Its row is deleted first, if it is still silent. The process then knows that its leases are gone.
        let gone = entity::Process::delete_many()
            .filter(process::Column::Id.eq(process))
            .filter(silent.clone())
            .exec(&tx)
            .await?;
        if gone.rows_affected == 1 {
            let of = Of::This(process);
            let deliveries: Vec<DeliveryId> = of.deliveries().into_tuple().all(&tx).await?;
            let emails: Vec<EmailId> = of.emails().into_tuple().all(&tx).await?;
            of.free(&tx, &deliveries, &emails).await?;
            tracing::info!(%process, deliveries = deliveries.len(), emails = emails.len(), "a process has died; its leases are released");
        }
        tx.commit().await?;
    }
    Ok(())
}

/// Releases every lease that is not this process's: no other process exists.
pub async fn free_all_but_own(ctx: &AppContext) -> Result<(), AppError> {
    let (db, of) = (ctx.db(), Of::AllBut(ctx.leases().process()));
    let deliveries: Vec<DeliveryId> = of.deliveries().into_tuple().all(db.read()).await?;
    let emails: Vec<EmailId> = of.emails().into_tuple().all(db.read()).await?;
    // A server that is running has little time to write.
    for some in deliveries.chunks(BATCH_SIZE) {
        let tx = db.begin().await?;
        of.free(&tx, some, &[]).await?;
        tx.commit().await?;
    }
    for some in emails.chunks(BATCH_SIZE) {
        let tx = db.begin().await?;
        of.free(&tx, &[], some).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Whose leases to release.
#[derive(Clone, Copy)]
enum Of {
    This(Uuid),
    AllBut(Uuid),
}

impl Of {
    fn filter(self, lease: impl ColumnTrait) -> Expr {
        match self {
            Self::This(process) => {
                let (first, last) = Leases::range(process);
                lease.between(first, last)
            }
            Self::AllBut(process) => {
                let (first, last) = Leases::range(process);
                lease.not_between(first, last)
            }
        }
    }

    fn deliveries(self) -> sea_orm::Select<entity::Delivery> {
        use delivery::Column;
        entity::Delivery::find()
            .filter(Column::Status.eq(DeliveryStatus::Pending))
            .filter(Column::LeaseToken.is_not_null())
            .filter(self.filter(Column::LeaseToken))
            .select_only()
            .column(Column::Id)
    }

    fn emails(self) -> sea_orm::Select<entity::OutboxEmail> {
        use outbox_email::Column;
        entity::OutboxEmail::find()
            .filter(Column::SentAt.is_null())
            .filter(Column::FailedAt.is_null())
            .filter(Column::LeaseToken.is_not_null())
            .filter(self.filter(Column::LeaseToken))
            .select_only()
            .column(Column::Id)
    }

    /// Releases these leases if they still apply; the rows are due immediately.
    async fn free(
        self,
        tx: &Tx,
        deliveries: &[DeliveryId],
        emails: &[EmailId],
    ) -> Result<(), AppError> {
        for some in deliveries.chunks(BATCH_SIZE) {
            use delivery::Column;
            entity::Delivery::update_many()
                .col_expr(Column::LeaseToken, Expr::value(None::<Uuid>))
                .col_expr(Column::LeaseUntil, Expr::value(None::<Timestamp>))
                .col_expr(Column::NextAttemptAt, Expr::value(Timestamp::now()))
                .filter(Column::Id.is_in(some.iter().copied()))
                .filter(self.filter(Column::LeaseToken))
                .exec(tx)
                .await?;
        }
        for some in emails.chunks(BATCH_SIZE) {
            use outbox_email::Column;
            entity::OutboxEmail::update_many()
                .col_expr(Column::LeaseToken, Expr::value(None::<Uuid>))
                .col_expr(Column::LeaseUntil, Expr::value(None::<Timestamp>))
                .filter(Column::Id.is_in(some.iter().copied()))
                .filter(self.filter(Column::LeaseToken))
                .exec(tx)
                .await?;
        }
        Ok(())
    }
}

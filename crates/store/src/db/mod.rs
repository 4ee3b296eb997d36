//! The database: connections, transactions, tables.
//!
//! The same code serves two databases: SQLite for one machine, PostgreSQL to scale. SQLite has one writer at a time, so
//! it gets two pools: readers, and a single write connection on which transactions queue in fair order instead of
//! colliding and waiting for the busy timeout. PostgreSQL also gets two: queries keep their connections open, which
//! would leave none for transactions.

pub mod entity;
pub mod key_check;
pub mod migration;
mod read_pool;
pub mod rows;
pub mod setup;
mod shares;
mod write_batcher;

use std::num::NonZero;
use std::ops::RangeInclusive;
use std::thread::available_parallelism;
use std::time::Duration;

use async_trait::async_trait;
use domain::AppError;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, ExecResult, QueryResult, SqlErr, Statement, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;

pub use self::read_pool::Reader;
/// For tests of the program, which look at rows. Its code does not: `server/tests/it/architecture.rs`.
#[doc(hidden)]
pub use sea_orm;

use self::read_pool::STATEMENT_TIMEOUT;
use self::setup::SetupLock;
pub use self::shares::ShareHolder;
use self::shares::Shares;
use self::write_batcher::{WriteBatcher, immediate};
use crate::live::{EventBus, Invalidation};

/// How long a statement may wait for SQLite's write lock held by another process (a backup, `wheelhouse migrate`).
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How many 4 kB pages SQLite's write-ahead log holds before a commit must copy them into the database. The running
/// program copies them beside the writer ([`Db::checkpoint`]).
const MAX_WAL_PAGES: &str = "16384";
/// Readers beside the one writer. Their data is in the system's memory, so each reader can keep a core busy. Each costs
/// a page cache and its prepared statements.
const SQLITE_READERS: RangeInclusive<u32> = 4..=8;
/// For queries; transactions get the same number again.
const POSTGRES_CONNECTIONS: u32 = 8;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);

/// A handle to the database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    read: Reader,
    write: DatabaseConnection,
    changes: WriteBatcher,
    shares: std::sync::Arc<Shares>,
    event_bus: EventBus,
}

impl Db {
    /// Opens `sqlite://path` (created if absent) or `postgres://…`. Does not migrate.
    pub async fn connect(url: &str) -> Result<Self, DbErr> {
        let _lock = if url.starts_with("sqlite:") {
            // Two processes that create the same file at the same time would find it locked.
            Some(SetupLock::of_file(setup::sqlite_file(url).as_deref()).await?)
        } else {
            None
        };
        Self::open(url, true).await
    }

    /// Opens an existing database.
    pub async fn connect_existing(url: &str) -> Result<Self, DbErr> {
        Self::open(url, false).await
    }

    async fn open(url: &str, create: bool) -> Result<Self, DbErr> {
        let (readers, read, write, changes, shares);
        if url.starts_with("sqlite:") {
            write = Database::connect(sqlite(url, 1, create)).await?;
            let cores = available_parallelism().map_or(1, NonZero::get);
            let count = u32::try_from(cores).unwrap_or(u32::MAX);
            let count = count.clamp(*SQLITE_READERS.start(), *SQLITE_READERS.end());
            readers = Database::connect(sqlite(url, count, create)).await?;
            read = Reader::new(&readers, count, ACQUIRE_TIMEOUT, STATEMENT_TIMEOUT);
            shares = Shares::of(count);
            changes = WriteBatcher::on_sqlite(write.clone());
        } else {
            write = Database::connect(postgres(url)).await?;
            let mut options = postgres(url);
            // In case the request to cancel a query gets lost.
            options.statement_timeout(STATEMENT_TIMEOUT);
            readers = Database::connect(options).await?;
            read = Reader::new(
                &readers,
                POSTGRES_CONNECTIONS,
                ACQUIRE_TIMEOUT,
                STATEMENT_TIMEOUT,
            );
            shares = Shares::of(POSTGRES_CONNECTIONS);
            changes = WriteBatcher::Postgres(read.clone());
        }
        Ok(Self {
            read,
            write,
            changes,
            shares: shares.into(),
            event_bus: EventBus::new(),
        })
    }

    /// Waits until no other process sets up this database. Others wait until the returned lock is released.
    pub async fn lock_setup(&self) -> Result<SetupLock, DbErr> {
        SetupLock::of(&self.write).await
    }

    /// Brings the schema up to date.
    pub async fn migrate(&self) -> Result<(), DbErr> {
        let lock = self.lock_setup().await?;
        self.migrate_under(&lock).await?;
        lock.release().await
    }

    /// The same for a caller that sets up more under the same lock.
    pub async fn migrate_under(&self, _: &SetupLock) -> Result<(), DbErr> {
        migration::Migrator::up(&self.write, None).await
    }

    /// Whether every migration has been applied. Only reads: `get_pending_migrations` would create its table first.
    pub async fn is_migrated(&self) -> Result<bool, DbErr> {
        let begun = match self.backend() {
            DbBackend::Postgres => "SELECT 1 WHERE to_regclass('seaql_migrations') IS NOT NULL",
            _ => "SELECT 1 FROM sqlite_master WHERE name = 'seaql_migrations'",
        };
        let begun = Statement::from_string(self.backend(), begun);
        if self.read.query_one_raw(begun).await?.is_none() {
            return Ok(false);
        }
        let applied = self
            .read
            .query_all_raw(Statement::from_string(
                self.backend(),
                "SELECT version FROM seaql_migrations",
            ))
            .await?;
        let applied: Vec<String> = applied
            .iter()
            .map(|row| row.try_get_by_index(0))
            .collect::<Result<_, _>>()?;
        Ok(migration::Migrator::migrations()
            .iter()
            .all(|step| applied.iter().any(|version| version == step.name())))
    }

    /// For queries outside a transaction.
    pub fn read(&self) -> &Reader {
        &self.read
    }

    /// Limits how many queries of one workspace run at the same time.
    pub fn shares(&self) -> &Shares {
        &self.shares
    }

    /// Where invalidations are sent, and where open pages listen.
    pub fn event_bus(&self) -> &EventBus {
        &self.event_bus
    }

    pub fn backend(&self) -> DbBackend {
        self.read.get_database_backend()
    }

    pub fn is_postgres(&self) -> bool {
        self.backend() == DbBackend::Postgres
    }

    /// The path of an SQLite database's file, as SQLite resolved it; nothing if it is in memory.
    pub async fn sqlite_file(&self) -> Result<Option<String>, AppError> {
        let ask = Statement::from_string(DbBackend::Sqlite, "PRAGMA database_list");
        let row = self.read.query_one_raw(ask).await?;
        let file: Option<String> = row.map(|row| row.try_get("", "file")).transpose()?;
        Ok(file.filter(|file| !file.is_empty()))
    }

    /// Starts a write transaction.
    pub async fn begin(&self) -> Result<Tx, AppError> {
        let inner = self.write.begin_with_options(immediate()).await?;
        Ok(Tx {
            inner,
            invalidations: Vec::new(),
            event_bus: self.event_bus.clone(),
        })
    }

    /// Makes a single-statement change that causes only an invalidation. Workers are not woken.
    pub async fn change(
        &self,
        statement: Statement,
        invalidation: Invalidation,
    ) -> Result<(), DbErr> {
        self.changes.write(statement).await?;
        self.event_bus.send(invalidation);
        Ok(())
    }

    /// Copies SQLite's write-ahead log into the database, as far as readers allow. No reader or writer waits for it.
    /// PostgreSQL manages its own log.
    pub async fn checkpoint(&self) -> Result<(), DbErr> {
        if self.backend() != DbBackend::Sqlite {
            return Ok(());
        }
        let checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";
        let checkpoint = Statement::from_string(self.backend(), checkpoint);
        self.read.query_one_raw(checkpoint).await.map(drop)
    }

    /// Closes the pools after their running queries end.
    pub async fn close(self) -> Result<(), DbErr> {
        self.read.close().await;
        self.write.close_by_ref().await
    }
}

/// Checks whether the URL of a database can be parsed.
pub fn parse_url(url: &str) -> Result<(), String> {
    use sea_orm::sqlx::postgres::PgConnectOptions;
    use sea_orm::sqlx::sqlite::SqliteConnectOptions;
    let parsed = if url.starts_with("sqlite:") {
        url.parse::<SqliteConnectOptions>().map(drop)
    } else {
        url.parse::<PgConnectOptions>().map(drop)
    };
    parsed.map_err(|error| error.to_string())
}

fn sqlite(url: &str, connections: u32, create: bool) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
            sqlite
                .create_if_missing(create)
                .journal_mode(SqliteJournalMode::Wal)
                // FULL: a committed change survives a power cut. NORMAL may lose the last commits in WAL mode.
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(BUSY_TIMEOUT)
                .pragma("wal_autocheckpoint", MAX_WAL_PAGES)
        });
    options
}

fn postgres(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .sqlx_logging(false)
        .test_before_acquire_if_idle_for(read_pool::TRUSTED);
    options
}

/// A write transaction. Its invalidations are sent when, and only when, it commits.
#[derive(Debug)]
pub struct Tx {
    inner: DatabaseTransaction,
    invalidations: Vec<Invalidation>,
    event_bus: EventBus,
}

impl Tx {
    /// Notifies open pages after the commit that they must reload data.
    pub fn invalidate(&mut self, invalidation: Invalidation) {
        if !self.invalidations.contains(&invalidation) {
            self.invalidations.push(invalidation);
        }
    }

    /// The same for many new invalidations.
    pub fn invalidate_all(&mut self, invalidations: impl IntoIterator<Item = Invalidation>) {
        self.invalidations.extend(invalidations);
    }

    pub async fn commit(self) -> Result<(), AppError> {
        self.inner.commit().await?;
        self.event_bus.send_all(self.invalidations);
        Ok(())
    }

    /// Undoes every change. Dropping a `Tx` does the same.
    pub async fn rollback(self) -> Result<(), AppError> {
        Ok(self.inner.rollback().await?)
    }
}

#[async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.inner.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.inner.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.inner.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.inner.query_all_raw(statement).await
    }
}

/// Whether the database refused a row because a unique key already holds its value.
pub fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

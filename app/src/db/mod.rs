//! The database: connections, transactions, tables.
//!
//! Two databases are served by the same code: SQLite for one machine, PostgreSQL to scale. SQLite has one writer
//! at a time, so it gets two pools: readers, and a single write connection on which transactions queue in fair
//! order instead of colliding and waiting for the busy timeout. On PostgreSQL both names mean the same pool.

pub mod entity;
pub mod migration;
pub mod seed;

use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, ExecResult, QueryResult, SqlErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use sea_orm_migration::MigratorTrait;

use crate::live::{Hint, Hub};

/// How long a statement may wait for SQLite's write lock held by another process (a backup, `wheelhouse migrate`).
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers beside the one writer; more than this only costs page cache on SQLite.
const SQLITE_READERS: u32 = 8;
const POSTGRES_CONNECTIONS: u32 = 16;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);
/// A PostgreSQL connection that lay idle longer is asked whether it still stands before it is used: after a restart of
/// the database the dead ones are replaced instead of failing a request each. One that was just used is trusted, which
/// saves every statement under load a round trip.
const TRUSTED_IDLE: Duration = Duration::from_secs(2);

/// Handle to the database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    read: DatabaseConnection,
    write: DatabaseConnection,
    hub: Hub,
}

impl Db {
    /// Opens `sqlite://path` (made if absent) or `postgres://…`. Does not migrate.
    pub async fn connect(url: &str) -> Result<Self, DbErr> {
        let (read, write) = if url.starts_with("sqlite:") {
            let write = Database::connect(sqlite(url, 1)).await?;
            let read = Database::connect(sqlite(url, SQLITE_READERS)).await?;
            (read, write)
        } else {
            let mut options = ConnectOptions::new(url);
            options
                .max_connections(POSTGRES_CONNECTIONS)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .sqlx_logging(false);
            options.test_before_acquire_if_idle_for(TRUSTED_IDLE);
            let pool = Database::connect(options).await?;
            (pool.clone(), pool)
        };
        Ok(Self {
            read,
            write,
            hub: Hub::new(),
        })
    }

    /// Brings the schema up to date.
    pub async fn migrate(&self) -> Result<(), DbErr> {
        migration::Migrator::up(&self.write, None).await
    }

    /// Whether every migration has been applied. Only looks: `get_pending_migrations` would make its table first.
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
    pub fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    /// Where live hints go, and where open pages listen.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    pub fn backend(&self) -> DbBackend {
        self.read.get_database_backend()
    }

    /// Starts a write transaction. On SQLite it takes the write lock at once: a transaction that reads first and
    /// asks for the lock later fails with BUSY under load, whatever the timeout.
    pub async fn begin(&self) -> Result<Tx, DbErr> {
        let inner = self
            .write
            .begin_with_options(TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                // Each that is named costs PostgreSQL a round trip of its own.
                access_mode: None,
                isolation_level: None,
            })
            .await?;
        Ok(Tx {
            inner,
            hints: Vec::new(),
            hub: self.hub.clone(),
        })
    }

    /// Closes the pools, waiting for what is under way.
    pub async fn close(self) -> Result<(), DbErr> {
        self.read.close_by_ref().await?;
        self.write.close_by_ref().await
    }
}

fn sqlite(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|sqlite| {
            use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
            sqlite
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                // FULL: a committed change survives a power cut. NORMAL may lose the last ones in WAL mode.
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(BUSY_TIMEOUT)
        });
    options
}

/// A write transaction, with the hints that go out when, and only when, it commits.
#[derive(Debug)]
pub struct Tx {
    inner: DatabaseTransaction,
    hints: Vec<Hint>,
    hub: Hub,
}

impl Tx {
    /// Tells open pages to look again, after the commit.
    pub fn hint(&mut self, hint: Hint) {
        if !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
    }

    pub async fn commit(self) -> Result<(), DbErr> {
        self.inner.commit().await?;
        self.hub.send_all(self.hints);
        Ok(())
    }

    /// Takes back everything; also what happens when a `Tx` is dropped.
    pub async fn rollback(self) -> Result<(), DbErr> {
        self.inner.rollback().await
    }
}

#[sea_orm::prelude::async_trait::async_trait]
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

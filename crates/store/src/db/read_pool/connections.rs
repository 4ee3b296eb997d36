//! The connections of either database, and how a running query on one is interrupted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, Pool, Postgres, Sqlite};

/// How long a connection is used without a ping. After a restart of the database, dead connections are replaced instead
/// of failing one request each.
pub const TRUSTED: Duration = Duration::from_secs(2);
/// After how many virtual machine steps SQLite checks whether to stop: within a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

#[derive(Debug)]
pub(super) enum AnyPool {
    Sqlite(Pool<Sqlite>),
    Postgres(Pool<Postgres>),
}

#[derive(Debug)]
pub(super) enum AnyConnection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// How to stop a running query from outside its connection.
#[derive(Debug)]
pub(super) enum Interrupt {
    /// SQLite checks this flag while it works.
    Sqlite(Arc<AtomicBool>),
    /// The PostgreSQL process that serves the connection.
    Postgres(i32),
}

#[derive(Debug)]
pub(super) struct IdleConnection {
    pub(super) connection: AnyConnection,
    pub(super) interrupt: Interrupt,
    /// When the pool handed out the connection and last checked it.
    pub(super) known: Instant,
}

impl IdleConnection {
    pub(super) fn is_trusted(&self) -> bool {
        self.known.elapsed() < TRUSTED
    }
}

impl AnyPool {
    /// Gets a working, idle connection and the interrupt for its next queries.
    pub(super) async fn acquire(&self) -> Result<IdleConnection, sqlx::Error> {
        let known = Instant::now();
        match self {
            Self::Sqlite(pool) => {
                let mut connection = pool.acquire().await?;
                let stop = Arc::new(AtomicBool::new(false));
                let looked_at = stop.clone();
                // The flag is new for each acquire, because the flag of an interrupted query stays set.
                connection
                    .lock_handle()
                    .await?
                    .set_progress_handler(STEPS_BETWEEN_LOOKS, move || {
                        !looked_at.load(Ordering::Relaxed)
                    });
                Ok(IdleConnection {
                    connection: AnyConnection::Sqlite(connection),
                    interrupt: Interrupt::Sqlite(stop),
                    known,
                })
            }
            Self::Postgres(pool) => {
                let mut connection = pool.acquire().await?;
                let process = sqlx::query_scalar("SELECT pg_backend_pid()");
                let process = process.fetch_one(&mut *connection).await?;
                Ok(IdleConnection {
                    connection: AnyConnection::Postgres(connection),
                    interrupt: Interrupt::Postgres(process),
                    known,
                })
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Sqlite(pool) => pool.is_closed(),
            Self::Postgres(pool) => pool.is_closed(),
        }
    }
}

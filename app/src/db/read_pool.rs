//! Queries outside a transaction, on connections that are kept at hand.
//!
//! sqlx's pool asks every connection that comes back whether it still stands. After a query as short as ours that
//! question costs as much as the query: a second round trip to PostgreSQL, a second hop to SQLite's thread. So what was
//! asked in the last two seconds is trusted, and goes from one query to the next without passing the pool.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Executor, Pool, Postgres, Sqlite};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement,
};
use sea_query_sqlx::SqlxValues;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::shares;

/// How long a connection is used without being asked whether it still stands: after a restart of the database the dead
/// ones are replaced instead of failing a request each.
pub const TRUSTED: Duration = Duration::from_secs(2);
/// How long a query may take. One that takes longer, or whose request is given up, is interrupted: a reader that works
/// for nobody would be missing for everybody.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// After how many steps of its virtual machine SQLite looks whether it is to stop: within a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;
/// How long PostgreSQL is given to take the request to stop a query.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// A pool for queries; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader(Arc<ReadPool>);

#[derive(Debug)]
struct ReadPool {
    pool: AnyPool,
    /// As many as the pool may hold. Waiting is done here: who waited in the pool would not hear that a connection came
    /// back to the rack.
    places: Arc<Semaphore>,
    patience: Duration,
    statement_timeout: Duration,
    /// The one used last lies on top.
    kept: Mutex<Vec<IdleConnection>>,
}

#[derive(Debug)]
enum AnyPool {
    Sqlite(Pool<Sqlite>),
    Postgres(Pool<Postgres>),
}

#[derive(Debug)]
enum AnyConnection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// How a query under way on a connection is stopped from outside.
#[derive(Debug)]
enum Interrupt {
    /// SQLite looks at this while it works.
    Sqlite(Arc<AtomicBool>),
    /// The process of PostgreSQL that serves the connection.
    Postgres(i32),
}

#[derive(Debug)]
struct IdleConnection {
    connection: AnyConnection,
    interrupt: Interrupt,
    /// When the pool gave it out, and so knew that it stood.
    known: Instant,
}

impl IdleConnection {
    fn is_trusted(&self) -> bool {
        self.known.elapsed() < TRUSTED
    }
}

/// A connection in use. Dropped in the middle of a query, it has the query stopped; then, as after a failure, it goes
/// back to the pool, which looks whether it is still good.
struct PooledConnection<'a> {
    kept: Option<IdleConnection>,
    rack: &'a ReadPool,
    /// Whether a query is under way.
    running: bool,
    place: Option<OwnedSemaphorePermit>,
    /// The place among the queries of the same workspace.
    _share: Option<OwnedSemaphorePermit>,
}

impl PooledConnection<'_> {
    fn put_back(mut self) {
        let Some(connection) = self.kept.take() else {
            return;
        };
        let mut kept = self.rack.lock();
        // Looked at under the lock: what is put back after `close` took the rest away would never be closed.
        if connection.is_trusted() && !self.rack.pool.is_closed() {
            kept.push(connection);
        }
    }

    /// Runs a query on the connection, for no longer than the pool's queries may take.
    async fn run<T>(
        &mut self,
        query: impl AsyncFnOnce(&mut AnyConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, DbErr> {
        let Some(kept) = &mut self.kept else {
            return Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed));
        };
        self.running = true;
        let limit = self.rack.statement_timeout;
        let result = tokio::time::timeout(limit, query(&mut kept.connection))
            .await
            .map_err(|_| DbErr::Custom(TIMED_OUT.to_owned()))?;
        self.running = false;
        result.map_err(not_queried)
    }
}

impl Drop for PooledConnection<'_> {
    fn drop(&mut self) {
        let Some(kept) = self.kept.take() else { return };
        if !self.running {
            return;
        }
        match (&kept.interrupt, &self.rack.pool) {
            (Interrupt::Sqlite(stop), _) => stop.store(true, Ordering::Relaxed),
            (Interrupt::Postgres(process), AnyPool::Postgres(pool)) => {
                let (pool, process, place) = (pool.clone(), *process, self.place.take());
                // Without a runtime there is nobody left to wait for the query either.
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move {
                        let cancel = tokio::time::timeout(CANCEL_TIMEOUT, cancel(&pool, process));
                        match cancel.await {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => {
                                tracing::warn!(%error, "a query that nobody waits for could not be stopped");
                            }
                            Err(_) => {
                                tracing::warn!("a query that nobody waits for could not be stopped in time");
                            }
                        }
                        // Back to the pool only now: what is stopped must be this query and no later one.
                        drop(kept);
                        drop(place);
                    });
                }
            }
            (Interrupt::Postgres(_), AnyPool::Sqlite(_)) => {}
        }
    }
}

/// What a query fails with that took too long.
const TIMED_OUT: &str = "the query took too long and was interrupted";

/// Whether a query was refused or stopped because the database has too much to do: it may be tried again.
pub fn is_overload(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => true,
        DbErr::Custom(message) => message == TIMED_OUT,
        _ => false,
    }
}

/// Stops what this process of PostgreSQL is at. On a connection of its own: those of the pool may all be at work.
async fn cancel(pool: &Pool<Postgres>, process: i32) -> Result<(), sqlx::Error> {
    let mut connection = sqlx::PgConnection::connect_with(&pool.connect_options()).await?;
    sqlx::query("SELECT pg_cancel_backend($1)")
        .bind(process)
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// The same for either database: `$connection` is `&mut SqliteConnection` or `&mut PgConnection` in `$run`.
macro_rules! on_either {
    ($any:expr, $connection:ident => $run:expr) => {
        match $any {
            AnyConnection::Sqlite(pooled) => {
                let $connection = &mut **pooled;
                $run
            }
            AnyConnection::Postgres(pooled) => {
                let $connection = &mut **pooled;
                $run
            }
        }
    };
}

impl Reader {
    /// `places`: how many connections the pool may hold; `patience`: how long to wait for one; `statement_timeout`: how
    /// long a query may take.
    pub fn new(
        pool: &DatabaseConnection,
        places: u32,
        patience: Duration,
        statement_timeout: Duration,
    ) -> Self {
        let pool = match pool.get_database_backend() {
            DbBackend::Postgres => AnyPool::Postgres(pool.get_postgres_connection_pool().clone()),
            _ => AnyPool::Sqlite(pool.get_sqlite_connection_pool().clone()),
        };
        Self(Arc::new(ReadPool {
            pool,
            places: Arc::new(Semaphore::new(places as usize)),
            patience,
            statement_timeout,
            kept: Mutex::default(),
        }))
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DbErr> {
        let mut taken = self.take().await?;
        taken
            .run(async |any| on_either!(any, connection => connection.ping().await))
            .await?;
        taken.put_back();
        Ok(())
    }

    /// Closes every connection, waiting for what is under way.
    pub async fn close(&self) {
        match &self.0.pool {
            AnyPool::Sqlite(pool) => {
                let closing = pool.close();
                self.0.lock().clear();
                closing.await;
            }
            AnyPool::Postgres(pool) => {
                let closing = pool.close();
                self.0.lock().clear();
                closing.await;
            }
        }
    }

    async fn take(&self) -> Result<PooledConnection<'_>, DbErr> {
        let rack = &*self.0;
        let timed_out = || DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        let places = async {
            // First among its own: a workspace that waits for its share takes no place from others.
            let share = match shares::current() {
                Some(share) => share.acquire_owned().await.ok(),
                None => None,
            };
            (share, rack.places.clone().acquire_owned().await.ok())
        };
        let (share, place) = tokio::time::timeout(rack.patience, places)
            .await
            .map_err(|_| timed_out())?;
        let place = place.ok_or_else(timed_out)?;
        let kept = match rack.trusted() {
            Some(kept) => kept,
            None => rack.pool.acquire().await.map_err(not_acquired)?,
        };
        Ok(PooledConnection {
            kept: Some(kept),
            rack,
            running: false,
            place: Some(place),
            _share: share,
        })
    }
}

impl ReadPool {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<IdleConnection>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection used last, if it is still trusted. Those that are not go back to the pool.
    fn trusted(&self) -> Option<IdleConnection> {
        let mut kept = self.lock();
        while let Some(top) = kept.pop() {
            if top.is_trusted() {
                return Some(top);
            }
        }
        None
    }
}

impl Drop for ReadPool {
    fn drop(&mut self) {
        // Going back to the pool takes a runtime, which may be gone: closed on the spot instead.
        for kept in self.lock().drain(..) {
            match kept.connection {
                AnyConnection::Sqlite(pooled) => drop(pooled.leak()),
                AnyConnection::Postgres(pooled) => drop(pooled.leak()),
            }
        }
    }
}

impl AnyPool {
    /// A connection that stands and is at nothing, with what stops the queries to come.
    async fn acquire(&self) -> Result<IdleConnection, sqlx::Error> {
        let known = Instant::now();
        match self {
            Self::Sqlite(pool) => {
                let mut connection = pool.acquire().await?;
                let stop = Arc::new(AtomicBool::new(false));
                let looked_at = stop.clone();
                // Made anew: that of a query which was stopped before stays set.
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

    fn is_closed(&self) -> bool {
        match self {
            Self::Sqlite(pool) => pool.is_closed(),
            Self::Postgres(pool) => pool.is_closed(),
        }
    }
}

fn not_acquired(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        error => DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))),
    }
}

fn not_queried(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

fn as_exec(error: DbErr) -> DbErr {
    match error {
        DbErr::Query(error) => DbErr::Exec(error),
        error => error,
    }
}

/// A statement as sqlx takes it, for whichever database it is run on.
macro_rules! query {
    ($statement:expr) => {
        sqlx::query_with(
            AssertSqlSafe($statement.sql),
            SqlxValues(
                $statement
                    .values
                    .unwrap_or_else(|| sea_orm::Values(Vec::new())),
            ),
        )
    };
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        match self.0.pool {
            AnyPool::Sqlite(_) => DbBackend::Sqlite,
            AnyPool::Postgres(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut taken = self.take().await?;
        let result = taken
            .run(async |any| {
                on_either!(any, connection => {
                    query!(statement).execute(connection).await.map(ExecResult::from)
                })
            })
            .await
            .map_err(as_exec)?;
        taken.put_back();
        Ok(result)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut taken = self.take().await?;
        let sql = AssertSqlSafe(sql.to_owned());
        let result = taken
            .run(async |any| {
                on_either!(any, connection => {
                    connection.execute(sql).await.map(ExecResult::from)
                })
            })
            .await
            .map_err(as_exec)?;
        taken.put_back();
        Ok(result)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut taken = self.take().await?;
        let row = taken
            .run(async |any| {
                on_either!(any, connection => {
                    let row = query!(statement).fetch_optional(connection).await;
                    row.map(|row| row.map(QueryResult::from))
                })
            })
            .await?;
        taken.put_back();
        Ok(row)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut taken = self.take().await?;
        let rows = taken
            .run(async |any| {
                on_either!(any, connection => {
                    let rows = query!(statement).fetch_all(connection).await;
                    rows.map(|rows| rows.into_iter().map(QueryResult::from).collect())
                })
            })
            .await?;
        taken.put_back();
        Ok(rows)
    }
}

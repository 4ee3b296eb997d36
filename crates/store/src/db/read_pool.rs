//! Runs queries outside a transaction, on idle connections that the process keeps open.
//!
//! sqlx's pool pings every returned connection. For short queries, a ping costs as much as the query: a second round
//! trip to PostgreSQL, or a second hop to SQLite's thread. So a connection that was used in the last two seconds is
//! trusted and serves the next query without going back to the pool.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::INTERRUPTED;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Executor, Pool, Postgres, Sqlite};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement,
};
use sea_query_sqlx::SqlxValues;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::shares;

/// How long a connection is used without a ping. After a restart of the database, dead connections are replaced instead
/// of failing one request each.
pub const TRUSTED: Duration = Duration::from_secs(2);
/// How long a query may take. A query that takes longer, or whose request is canceled, is interrupted: otherwise it
/// would block a reader that other requests need.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// After how many virtual machine steps SQLite checks whether to stop: within a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;
/// How long PostgreSQL may take to accept the request to cancel a query.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection pool for queries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader(Arc<ReadPool>);

#[derive(Debug)]
struct ReadPool {
    pool: AnyPool,
    /// One permit per pool connection. Requests wait here, because the pool does not wake its waiters when a connection
    /// returns to `kept`.
    places: Arc<Semaphore>,
    patience: Duration,
    statement_timeout: Duration,
    /// The last one used is on top.
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

/// How to stop a running query from outside its connection.
#[derive(Debug)]
enum Interrupt {
    /// SQLite checks this flag while it works.
    Sqlite(Arc<AtomicBool>),
    /// The PostgreSQL process that serves the connection.
    Postgres(i32),
}

#[derive(Debug)]
struct IdleConnection {
    connection: AnyConnection,
    interrupt: Interrupt,
    /// When the pool handed out the connection and last checked it.
    known: Instant,
}

impl IdleConnection {
    fn is_trusted(&self) -> bool {
        self.known.elapsed() < TRUSTED
    }
}

/// A connection in use. If it is dropped during a query, the query is canceled. Then, as after a failure, the
/// connection returns to the pool, which checks it.
struct PooledConnection<'a> {
    kept: Option<IdleConnection>,
    rack: &'a ReadPool,
    /// Whether a query is running.
    running: bool,
    place: Option<OwnedSemaphorePermit>,
    /// The permit from the workspace's share of connections.
    _share: Option<OwnedSemaphorePermit>,
}

impl PooledConnection<'_> {
    fn put_back(mut self) {
        let Some(connection) = self.kept.take() else {
            return;
        };
        let mut kept = self.rack.lock();
        // Checked under the lock: a connection added after `close` drained the list would never be closed.
        if connection.is_trusted() && !self.rack.pool.is_closed() {
            kept.push(connection);
        }
    }

    /// Runs a query on the connection, within the pool's statement timeout.
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
            .map_err(|_| DbErr::Custom(INTERRUPTED.to_owned()))?;
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
                // Without a runtime, nobody waits for the query either.
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
                        // Return the connection only now, so that the interrupt stops this query and not a later one.
                        drop(kept);
                        drop(place);
                    });
                }
            }
            (Interrupt::Postgres(_), AnyPool::Sqlite(_)) => {}
        }
    }
}

/// Cancels the query of this PostgreSQL process. Uses a new connection, because all pool connections may be busy.
async fn cancel(pool: &Pool<Postgres>, process: i32) -> Result<(), sqlx::Error> {
    let mut connection = sqlx::PgConnection::connect_with(&pool.connect_options()).await?;
    sqlx::query("SELECT pg_cancel_backend($1)")
        .bind(process)
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// Runs the same code on either database: `$connection` is `&mut SqliteConnection` or `&mut PgConnection` in `$run`.
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
    /// `places`: the maximum number of pool connections. `patience`: how long to wait for one. `statement_timeout`: how
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

    /// Checks that the database responds.
    pub async fn ping(&self) -> Result<(), DbErr> {
        let mut taken = self.take().await?;
        taken
            .run(async |any| on_either!(any, connection => connection.ping().await))
            .await?;
        taken.put_back();
        Ok(())
    }

    /// Closes every connection after its running query ends.
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
            // Take the workspace's permit first, so that a workspace that waits for its share blocks no others.
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

    /// Takes the last connection used, if it is still trusted. Untrusted connections return to the pool.
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
        // Returning to the pool needs a runtime, which may be gone, so the connections are closed here.
        for kept in self.lock().drain(..) {
            match kept.connection {
                AnyConnection::Sqlite(pooled) => drop(pooled.leak()),
                AnyConnection::Postgres(pooled) => drop(pooled.leak()),
            }
        }
    }
}

impl AnyPool {
    /// Gets a working, idle connection and the interrupt for its next queries.
    async fn acquire(&self) -> Result<IdleConnection, sqlx::Error> {
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

/// Builds a statement as sqlx takes it, for either database.
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

//! Queries outside a transaction, on connections that are kept at hand.
//!
//! sqlx's pool asks every connection that comes back whether it still stands. After a query as short as ours that
//! question costs as much as the query: a second round trip to PostgreSQL, a second hop to SQLite's thread. So what was
//! asked in the last two seconds is trusted, and goes from one query to the next without passing the pool.

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
use tokio::sync::{Semaphore, SemaphorePermit};

/// How long a connection is used without being asked whether it still stands: after a restart of the database the dead
/// ones are replaced instead of failing a request each.
pub const TRUSTED: Duration = Duration::from_secs(2);

/// A pool for queries; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader(Arc<Rack>);

#[derive(Debug)]
struct Rack {
    pool: AnyPool,
    /// As many as the pool may hold. Waiting is done here: who waited in the pool would not hear that a connection came
    /// back to the rack.
    places: Semaphore,
    patience: Duration,
    /// The one used last lies on top.
    kept: Mutex<Vec<Kept>>,
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

#[derive(Debug)]
struct Kept {
    connection: AnyConnection,
    /// When the pool gave it out, and so knew that it stood.
    known: Instant,
}

impl Kept {
    fn is_trusted(&self) -> bool {
        self.known.elapsed() < TRUSTED
    }
}

/// A connection in use. Dropped in the middle of a query, or after a failure, it goes back to the pool, which looks
/// whether it is still good.
struct Taken<'a> {
    kept: Kept,
    rack: &'a Rack,
    _place: SemaphorePermit<'a>,
}

impl Taken<'_> {
    fn put_back(self) {
        if self.kept.is_trusted() && !self.rack.pool.is_closed() {
            self.rack.lock().push(self.kept);
        }
    }
}

/// The same for either database: `$connection` is `&mut SqliteConnection` or `&mut PgConnection` in `$run`.
macro_rules! on_either {
    ($taken:expr, $connection:ident => $run:expr) => {
        match &mut $taken.kept.connection {
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
    /// `places`: how many connections the pool may hold; `patience`: how long to wait for one.
    pub fn new(pool: &DatabaseConnection, places: u32, patience: Duration) -> Self {
        let pool = match pool.get_database_backend() {
            DbBackend::Postgres => AnyPool::Postgres(pool.get_postgres_connection_pool().clone()),
            _ => AnyPool::Sqlite(pool.get_sqlite_connection_pool().clone()),
        };
        Self(Arc::new(Rack {
            pool,
            places: Semaphore::new(places as usize),
            patience,
            kept: Mutex::default(),
        }))
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DbErr> {
        let mut taken = self.take().await?;
        on_either!(taken, connection => connection.ping().await)
            .map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))?;
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

    async fn take(&self) -> Result<Taken<'_>, DbErr> {
        let rack = &*self.0;
        let place = tokio::time::timeout(rack.patience, rack.places.acquire())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        let kept = match rack.trusted() {
            Some(kept) => kept,
            None => Kept {
                connection: rack.pool.acquire().await.map_err(not_acquired)?,
                known: Instant::now(),
            },
        };
        Ok(Taken {
            kept,
            rack,
            _place: place,
        })
    }
}

impl Rack {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection used last, if it is still trusted. Those that are not go back to the pool.
    fn trusted(&self) -> Option<Kept> {
        let mut kept = self.lock();
        while let Some(top) = kept.pop() {
            if top.is_trusted() {
                return Some(top);
            }
        }
        None
    }
}

impl Drop for Rack {
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
    async fn acquire(&self) -> Result<AnyConnection, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => pool.acquire().await.map(AnyConnection::Sqlite),
            Self::Postgres(pool) => pool.acquire().await.map(AnyConnection::Postgres),
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

fn not_executed(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
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
        let result = on_either!(taken, connection => {
            query!(statement).execute(connection).await.map(ExecResult::from)
        })
        .map_err(not_executed)?;
        taken.put_back();
        Ok(result)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut taken = self.take().await?;
        let sql = AssertSqlSafe(sql.to_owned());
        let result = on_either!(taken, connection => {
            connection.execute(sql).await.map(ExecResult::from)
        })
        .map_err(not_executed)?;
        taken.put_back();
        Ok(result)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut taken = self.take().await?;
        let row = on_either!(taken, connection => {
            let row = query!(statement).fetch_optional(connection).await;
            row.map(|row| row.map(QueryResult::from))
        })
        .map_err(not_queried)?;
        taken.put_back();
        Ok(row)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut taken = self.take().await?;
        let rows = on_either!(taken, connection => {
            let rows = query!(statement).fetch_all(connection).await;
            rows.map(|rows| rows.into_iter().map(QueryResult::from).collect())
        })
        .map_err(not_queried)?;
        taken.put_back();
        Ok(rows)
    }
}

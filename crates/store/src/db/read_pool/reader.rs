//! The handle that queries run on. It takes a connection for each query and puts it back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Executor};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement,
};
use sea_query_sqlx::SqlxValues;
use tokio::sync::Semaphore;

use super::connections::{AnyConnection, AnyPool};
use super::pooled::{PooledConnection, ReadPool};
use crate::db::shares;

/// A connection pool for queries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader(Arc<ReadPool>);

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

fn not_acquired(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        error => DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))),
    }
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

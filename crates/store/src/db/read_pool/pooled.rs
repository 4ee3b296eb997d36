//! The pool of idle connections, and a connection in use, whose query is canceled when nobody waits for it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::INTERRUPTED;
use sea_orm::sqlx::{self, Connection as _, Pool, Postgres};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connections::{AnyConnection, AnyPool, IdleConnection, Interrupt};

/// How long PostgreSQL may take to accept the request to cancel a query.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct ReadPool {
    pub(super) pool: AnyPool,
    /// One permit per pool connection. Requests wait here, because the pool does not wake its waiters when a connection
    /// returns to `kept`.
    pub(super) places: Arc<Semaphore>,
    pub(super) patience: Duration,
    pub(super) statement_timeout: Duration,
    /// The last one used is on top.
    pub(super) kept: Mutex<Vec<IdleConnection>>,
}

/// A connection in use. If it is dropped during a query, the query is canceled. Then, as after a failure, the
/// connection returns to the pool, which checks it.
pub(super) struct PooledConnection<'a> {
    pub(super) kept: Option<IdleConnection>,
    pub(super) rack: &'a ReadPool,
    /// Whether a query is running.
    pub(super) running: bool,
    pub(super) place: Option<OwnedSemaphorePermit>,
    /// The permit from the workspace's share of connections.
    pub(super) _share: Option<OwnedSemaphorePermit>,
}

impl PooledConnection<'_> {
    pub(super) fn put_back(mut self) {
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
    pub(super) async fn run<T>(
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

impl ReadPool {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Vec<IdleConnection>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the last connection used, if it is still trusted. Untrusted connections return to the pool.
    pub(super) fn trusted(&self) -> Option<IdleConnection> {
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

fn not_queried(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

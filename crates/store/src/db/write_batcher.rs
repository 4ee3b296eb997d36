//! Writes changes that are a single statement and cause no event, email or delivery.
//!
//! SQLite commits one change after another, and each commit waits for the disk. Here, queued changes share one
//! transaction: a single commit writes all of them to disk, and only then is each one acknowledged. On PostgreSQL such
//! a statement is its own transaction: one round trip instead of three.

use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};
use tokio::sync::oneshot;

use super::read_pool::Reader;

/// The maximum number of changes in one transaction. Other writers wait for at most this many.
const BATCH_SIZE: usize = 100;

/// Queues such changes. Cheap to clone.
#[derive(Clone, Debug)]
pub enum WriteBatcher {
    Sqlite(Arc<Queue>),
    Postgres(Reader),
}

impl WriteBatcher {
    /// `write` is SQLite's only write connection.
    pub fn on_sqlite(write: DatabaseConnection) -> Self {
        Self::Sqlite(Arc::new(Queue {
            write,
            turn: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
        }))
    }

    /// Writes the change and returns when it is on disk.
    pub async fn write(&self, statement: Statement) -> Result<(), DbErr> {
        match self {
            Self::Postgres(pool) => pool.execute_raw(statement).await.map(drop),
            Self::Sqlite(queue) => queue.clone().write(statement).await,
        }
    }
}

#[derive(Debug)]
pub struct Queue {
    write: DatabaseConnection,
    /// Locked by the task that writes the queued changes.
    turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<QueuedWrite>>,
}

#[derive(Debug)]
struct QueuedWrite {
    statement: Statement,
    answer: oneshot::Sender<Result<(), DbErr>>,
}

impl Queue {
    async fn write(self: Arc<Self>, statement: Statement) -> Result<(), DbErr> {
        let (answer, answered) = oneshot::channel();
        let waiting = QueuedWrite { statement, answer };
        self.lock().push(waiting);
        // A separate task: a canceled request must not cancel the changes of other requests. Most tasks find that an
        // earlier one has already written their change.
        tokio::spawn(async move {
            let _turn = self.turn.lock().await;
            self.write_waiting().await;
        });
        let lost = |_| DbErr::Custom("the task that writes changes was stopped".to_owned());
        answered.await.map_err(lost)?
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<QueuedWrite>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write_waiting(&self) {
        let batch: Vec<QueuedWrite> = {
            let mut waiting = self.lock();
            let together = waiting.len().min(BATCH_SIZE);
            waiting.drain(..together).collect()
        };
        if batch.len() > 1 && self.together(&batch).await.is_ok() {
            for QueuedWrite { answer, .. } in batch {
                // An error only means that nobody waits for the result.
                let _ = answer.send(Ok(()));
            }
            return;
        }
        // The only change, or one that made the batch fail: run each change alone, so that each gets its own result.
        for QueuedWrite { statement, answer } in batch {
            let _ = answer.send(self.write.execute_raw(statement).await.map(drop));
        }
    }

    /// Writes all changes or none.
    async fn together(&self, batch: &[QueuedWrite]) -> Result<(), DbErr> {
        let tx = self.write.begin_with_options(immediate()).await?;
        for QueuedWrite { statement, .. } in batch {
            tx.execute_raw(statement.clone()).await?;
        }
        tx.commit().await
    }
}

/// Takes SQLite's write lock immediately. A transaction that reads first and locks later fails with BUSY under load,
/// whatever the timeout. PostgreSQL has no such mode and begins as usual.
pub fn immediate() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        access_mode: None,
        isolation_level: None,
    }
}

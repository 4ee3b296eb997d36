//! Changes that are one statement, and from which nothing follows: no event, no mail, no delivery.
//!
//! SQLite commits one change after the other, and each commit waits for the disk. Here what waits for its turn goes into
//! one transaction: a single commit puts it all on the disk, and only then is any of it acknowledged. On PostgreSQL such
//! a statement is a transaction of its own: one round trip instead of three.

use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};
use tokio::sync::oneshot;

use super::Reader;

/// How many changes one transaction takes: other writers wait for no more than these.
const BATCH_SIZE: usize = 100;

/// Where such changes are written; cheap to clone.
#[derive(Clone, Debug)]
pub enum WriteBatcher {
    Sqlite(Arc<Queue>),
    Postgres(Reader),
}

impl WriteBatcher {
    /// `write`: SQLite's only connection that writes.
    pub fn on_sqlite(write: DatabaseConnection) -> Self {
        Self::Sqlite(Arc::new(Queue {
            write,
            turn: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
        }))
    }

    /// Writes it, and comes back when it is on the disk.
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
    /// Held by whoever writes what waits.
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
        // A task of its own: a request that is given up half-way must not take those of others with it. Most find that
        // one before them has written theirs too.
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
                // An error only says that nobody waits any more.
                let _ = answer.send(Ok(()));
            }
            return;
        }
        // One alone, or one that stood in the way of all: each gets an answer of its own.
        for QueuedWrite { statement, answer } in batch {
            let _ = answer.send(self.write.execute_raw(statement).await.map(drop));
        }
    }

    /// All or none.
    async fn together(&self, batch: &[QueuedWrite]) -> Result<(), DbErr> {
        let tx = self.write.begin_with_options(immediate()).await?;
        for QueuedWrite { statement, .. } in batch {
            tx.execute_raw(statement.clone()).await?;
        }
        tx.commit().await
    }
}

/// Takes SQLite's write lock at once: a transaction that reads first and asks for the lock later fails with BUSY under
/// load, whatever the timeout. PostgreSQL knows no such mode and begins as always.
pub fn immediate() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        access_mode: None,
        isolation_level: None,
    }
}

//! Which processes are alive, and taking over the leases of those that are not. Only PostgreSQL records processes.

use std::time::Instant;

use domain::webhooks::DeliveryStatus;
use domain::{AppError, DeliveryId, EmailId, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend,
    EntityTrait, QueryFilter, QuerySelect, Select, Statement,
};
use uuid::Uuid;

use super::{Leases, PROCESS_LEASE};
use crate::context::AppContext;
use crate::db::Tx;
use crate::db::entity::{self, delivery, outbox_email, process};

/// How many leases one transaction releases.
const BATCH_SIZE: usize = 500;
/// The current time of PostgreSQL's clock in milliseconds.
const NOW: &str = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)";

/// The connection that heartbeats use, so that load on the others does not delay them.
#[derive(Clone, Debug)]
pub struct HeartbeatConnection(DatabaseConnection);

impl HeartbeatConnection {
    pub async fn open(database_url: &str) -> Result<Self, AppError> {
        let mut own = ConnectOptions::new(database_url);
        own.max_connections(1)
            .min_connections(0)
            .acquire_timeout(PROCESS_LEASE)
            .sqlx_logging(false);
        Ok(Self(Database::connect(own).await?))
    }

    /// Sends a heartbeat. If this process was declared dead meanwhile, it starts over.
    pub async fn record(&self, ctx: &AppContext) -> Result<(), AppError> {
        let (leases, at) = (ctx.leases(), (Instant::now(), Timestamp::now()));
        let process = leases.process();
        // The first time there is no row, and nothing is leased yet.
        if leases.has_heartbeat() {
            let update = format!("UPDATE processes SET seen_at = {NOW} WHERE id = $1");
            if self.execute(update, process).await? == 1 {
                leases.record_heartbeat(at);
                return Ok(());
            }
            tracing::warn!("this process was taken for dead, and what it held is left to others");
        }
        let process = Leases::new_process();
        let insert = format!("INSERT INTO processes (id, seen_at) VALUES ($1, {NOW})");
        self.execute(insert, process).await?;
        leases.begin_anew(process, at);
        Ok(())
    }

    /// Deletes the row of this process, which leases nothing anymore.
    pub async fn forget(&self, ctx: &AppContext) -> Result<(), AppError> {
        let delete = "DELETE FROM processes WHERE id = $1".to_owned();
        self.execute(delete, ctx.leases().process()).await?;
        Ok(())
    }

    pub async fn close(&self) {
        let _ = self.0.close_by_ref().await;
    }

    async fn execute(&self, sql: String, process: Uuid) -> Result<u64, AppError> {
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [process.into()]);
        Ok(self.0.execute_raw(statement).await?.rows_affected())
    }
}

/// Releases the leases of dead processes. Only PostgreSQL tracks processes.
pub async fn release_dead_processes(ctx: &AppContext) -> Result<(), AppError> {
    let silent = Expr::cust(format!("seen_at < {NOW} - {}", PROCESS_LEASE.as_millis()));
    let dead: Vec<Uuid> = entity::Process::find()
        .filter(silent.clone())
        .select_only()
        .column(process::Column::Id)
        .into_tuple()
        .all(ctx.db().read())
        .await?;
    for process in dead {
        let tx = ctx.db().begin().await?;
        // Its row is deleted first, if it is still silent. The process then knows that its leases are gone.
        let gone = entity::Process::delete_many()
            .filter(process::Column::Id.eq(process))
            .filter(silent.clone())
            .exec(&tx)
            .await?;
        if gone.rows_affected == 1 {
            let of = Of::This(process);
            let deliveries: Vec<DeliveryId> = of.deliveries().into_tuple().all(&tx).await?;
            let emails: Vec<EmailId> = of.emails().into_tuple().all(&tx).await?;
            of.free(&tx, &deliveries, &emails).await?;
            tracing::info!(%process, deliveries = deliveries.len(), emails = emails.len(), "a process has died; its leases are released");
        }
        tx.commit().await?;
    }
    Ok(())
}

/// Releases every lease that is not this process's: no other process exists.
pub async fn free_all_but_own(ctx: &AppContext) -> Result<(), AppError> {
    let (db, of) = (ctx.db(), Of::AllBut(ctx.leases().process()));
    let deliveries: Vec<DeliveryId> = of.deliveries().into_tuple().all(db.read()).await?;
    let emails: Vec<EmailId> = of.emails().into_tuple().all(db.read()).await?;
    // A server that is running has little time to write.
    for some in deliveries.chunks(BATCH_SIZE) {
        let tx = db.begin().await?;
        of.free(&tx, some, &[]).await?;
        tx.commit().await?;
    }
    for some in emails.chunks(BATCH_SIZE) {
        let tx = db.begin().await?;
        of.free(&tx, &[], some).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Whose leases to release.
#[derive(Clone, Copy)]
enum Of {
    This(Uuid),
    AllBut(Uuid),
}

impl Of {
    fn filter(self, lease: impl ColumnTrait) -> Expr {
        match self {
            Self::This(process) => {
                let (first, last) = Leases::range(process);
                lease.between(first, last)
            }
            Self::AllBut(process) => {
                let (first, last) = Leases::range(process);
                lease.not_between(first, last)
            }
        }
    }

    fn deliveries(self) -> Select<entity::Delivery> {
        use delivery::Column;
        entity::Delivery::find()
            .filter(Column::Status.eq(DeliveryStatus::Pending))
            .filter(Column::LeaseToken.is_not_null())
            .filter(self.filter(Column::LeaseToken))
            .select_only()
            .column(Column::Id)
    }

    fn emails(self) -> Select<entity::OutboxEmail> {
        use outbox_email::Column;
        entity::OutboxEmail::find()
            .filter(Column::SentAt.is_null())
            .filter(Column::FailedAt.is_null())
            .filter(Column::LeaseToken.is_not_null())
            .filter(self.filter(Column::LeaseToken))
            .select_only()
            .column(Column::Id)
    }

    /// Releases these leases if they still apply; the rows are due immediately.
    async fn free(
        self,
        tx: &Tx,
        deliveries: &[DeliveryId],
        emails: &[EmailId],
    ) -> Result<(), AppError> {
        for some in deliveries.chunks(BATCH_SIZE) {
            use delivery::Column;
            entity::Delivery::update_many()
                .col_expr(Column::LeaseToken, Expr::value(None::<Uuid>))
                .col_expr(Column::LeaseUntil, Expr::value(None::<Timestamp>))
                .col_expr(Column::NextAttemptAt, Expr::value(Timestamp::now()))
                .filter(Column::Id.is_in(some.iter().copied()))
                .filter(self.filter(Column::LeaseToken))
                .exec(tx)
                .await?;
        }
        for some in emails.chunks(BATCH_SIZE) {
            use outbox_email::Column;
            entity::OutboxEmail::update_many()
                .col_expr(Column::LeaseToken, Expr::value(None::<Uuid>))
                .col_expr(Column::LeaseUntil, Expr::value(None::<Timestamp>))
                .filter(Column::Id.is_in(some.iter().copied()))
                .filter(self.filter(Column::LeaseToken))
                .exec(tx)
                .await?;
        }
        Ok(())
    }
}

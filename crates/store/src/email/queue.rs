//! The queue of emails to send: the outbox, as the mailer sees it.

use std::time::Duration;

use domain::{AppError, EmailId, Timestamp};
use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, UpdateMany,
};
use uuid::Uuid;

use crate::context::AppContext;
use crate::db::entity;
use crate::db::entity::outbox_email::Column;

/// An email to send.
pub use crate::db::entity::outbox_email::Model as QueuedEmail;

/// What became of an attempt to send an email.
#[derive(Clone, Debug)]
pub enum SendOutcome {
    Sent,
    /// It will be tried again.
    Deferred {
        at: Timestamp,
        error: String,
    },
    /// It is given up.
    Failed {
        error: String,
    },
}

/// How many emails wait. A partial index contains only these, so the cost depends on their number alone.
pub async fn count_pending(ctx: &AppContext) -> Result<u64, AppError> {
    Ok(entity::OutboxEmail::find()
        .filter(Column::SentAt.is_null())
        .filter(Column::FailedAt.is_null())
        .count(ctx.db().read())
        .await?)
}

/// Leases due emails to this worker: one statement in a write transaction, which on PostgreSQL skips rows that another
/// worker is leasing.
pub async fn claim(
    ctx: &AppContext,
    lease: Uuid,
    time: Duration,
    most: u64,
) -> Result<Vec<QueuedEmail>, AppError> {
    let now = Timestamp::now();
    let mut due = entity::OutboxEmail::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::SentAt.is_null())
        .filter(Column::FailedAt.is_null())
        .filter(Column::NextAttemptAt.lte(now))
        .filter(
            Condition::any()
                .add(Column::LeaseUntil.is_null())
                .add(Column::LeaseUntil.lt(now)),
        )
        .order_by_asc(Column::NextAttemptAt)
        .limit(most);
    if due
        .clone()
        .into_tuple::<EmailId>()
        .one(ctx.db().read())
        .await?
        .is_none()
    {
        return Ok(Vec::new());
    }
    let tx = ctx.db().begin().await?;
    let due: &mut _ = QuerySelect::query(&mut due);
    if ctx.db().backend() == DbBackend::Postgres {
        due.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    }
    let due = Query::select()
        .column(Column::Id)
        .from_subquery(due.take(), "due")
        .take();
    let messages = entity::OutboxEmail::update_many()
        .col_expr(Column::LeaseToken, Expr::value(lease))
        .col_expr(Column::LeaseUntil, Expr::value(now.after(time)))
        .filter(Column::Id.in_subquery(due))
        .exec_with_returning(&tx)
        .await?;
    tx.commit().await?;
    Ok(messages)
}

/// Releases the emails that are still under this lease.
pub async fn release(ctx: &AppContext, lease: Uuid) -> Result<(), AppError> {
    let tx = ctx.db().begin().await?;
    entity::OutboxEmail::update_many()
        .col_expr(Column::LeaseToken, Expr::value(None::<Uuid>))
        .col_expr(Column::LeaseUntil, Expr::value(None::<Timestamp>))
        .filter(Column::LeaseToken.eq(lease))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Records the outcome of an attempt. Returns whether the lease was still held; otherwise nothing is recorded.
pub async fn finish(
    ctx: &AppContext,
    lease: Uuid,
    message: &QueuedEmail,
    outcome: SendOutcome,
) -> Result<bool, AppError> {
    let now = Timestamp::now();
    let mut update = entity::OutboxEmail::update_many()
        .col_expr(Column::Attempts, Expr::value(message.attempts + 1))
        .col_expr(Column::LeaseToken, Expr::value(None::<Uuid>))
        .col_expr(Column::LeaseUntil, Expr::value(None::<Timestamp>))
        .filter(Column::Id.eq(message.id))
        .filter(Column::LeaseToken.eq(lease));
    update = match outcome {
        SendOutcome::Sent => blank(update).col_expr(Column::SentAt, Expr::value(now)),
        SendOutcome::Deferred { at, error } => update
            .col_expr(Column::LastError, Expr::value(error))
            .col_expr(Column::NextAttemptAt, Expr::value(at)),
        SendOutcome::Failed { error } => blank(update)
            .col_expr(Column::LastError, Expr::value(error))
            .col_expr(Column::FailedAt, Expr::value(now)),
    };
    let tx = ctx.db().begin().await?;
    let finished = update.exec(&tx).await?.rows_affected > 0;
    tx.commit().await?;
    Ok(finished)
}

/// Erases the email's body: nobody needs it anymore, and its links may still work.
fn blank(update: UpdateMany<entity::OutboxEmail>) -> UpdateMany<entity::OutboxEmail> {
    update
        .col_expr(Column::BodyText, Expr::value(Vec::<u8>::new()))
        .col_expr(Column::BodyHtml, Expr::value(Vec::<u8>::new()))
        .col_expr(Column::UnsubscribeUrl, Expr::value(None::<Vec<u8>>))
}

//! The email worker: claims outbox emails with a lease, sends them by SMTP, and retries with growing delays.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use domain::{AppError, Timestamp};
use futures::{StreamExt, stream};
use lettre::Message;
use lettre::message::{
    Mailbox, MultiPart,
    header::{Header, HeaderName, HeaderValue},
};
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, UpdateMany,
};
use store::context::AppContext;
use store::db::entity;
use store::db::entity::outbox_email::Column;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::smtp::{Connection, SmtpEndpoint, SmtpError};
use super::wait_for_work;
use crate::config::Config;
use crate::metrics::Metrics;

/// How many emails one claim takes.
const BATCH: u64 = 20;
/// How many connections send them concurrently.
const MAX_CONNECTIONS: usize = 4;
/// How long a lease lasts. A worker that takes longer loses it and changes nothing anymore.
const LEASE: Duration = Duration::from_mins(2);
/// How long one email can take, including connecting.
const EMAIL_TIMEOUT: Duration = Duration::from_secs(30);
/// When a batch starts no more emails: one started then is sent and recorded before the lease expires.
const LAST_START: Duration = Duration::from_secs(80);
const IDLE: Duration = Duration::from_secs(5);
/// How long the worker rests when the server is unreachable or denies access.
const BLOCKED: Duration = Duration::from_secs(30);
/// Minutes before each retry; after the last one the email has failed.
pub const WAITS: [u64; 7] = [1, 5, 30, 120, 360, 720, 1440];

/// The SMTP server and the sender of emails.
#[derive(Clone)]
pub struct MailerConfig {
    route: SmtpEndpoint,
    from: Mailbox,
    metrics: Metrics,
}

impl MailerConfig {
    /// `None` without an SMTP server: emails then stay in the outbox.
    pub fn new(config: &Config, metrics: &Metrics) -> Option<Self> {
        Some(Self {
            route: config.smtp.clone()?,
            from: config.mail_from.clone(),
            metrics: metrics.clone(),
        })
    }
}

/// The result of processing the outbox once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// How many emails were attempted.
    pub tried: usize,
    /// The server was unreachable or denied access, so the rest of the batch was released untried.
    pub blocked: bool,
}

pub async fn run(ctx: AppContext, post: MailerConfig, stop: CancellationToken) {
    let mut commits = ctx.db().event_bus().commits();
    loop {
        commits.mark_unchanged();
        match send_due(&ctx, &post, &stop).await {
            Ok(Round { blocked: true, .. }) => {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(BLOCKED) => continue,
                }
            }
            Ok(Round { tried: 1.., .. }) if !stop.is_cancelled() => continue,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the outbox could not be read; it will be tried again");
            }
        }
        if !wait_for_work(&mut commits, tokio::time::sleep(IDLE), &stop).await {
            return;
        }
    }
}

/// Sends due emails.
pub async fn send_due(
    ctx: &AppContext,
    post: &MailerConfig,
    stop: &CancellationToken,
) -> Result<Round, AppError> {
    let lease = ctx.leases().token();
    // A process without a recent heartbeat claims nothing: others would soon claim it too.
    let messages = if ctx.leases().holds(lease) {
        claim(ctx, lease).await?
    } else {
        Vec::new()
    };
    if messages.is_empty() {
        return Ok(Round {
            tried: 0,
            blocked: false,
        });
    }
    let batch = Batch {
        ctx,
        post,
        stop,
        lease,
        began: Instant::now(),
        tried: AtomicUsize::new(0),
        blocked: AtomicBool::new(false),
        messages: Mutex::new(messages.into_iter()),
    };
    let workers = stream::iter((0..MAX_CONNECTIONS).map(|_| batch.send_batch()));
    let ends: Vec<Result<(), AppError>> = workers.buffer_unordered(MAX_CONNECTIONS).collect().await;
    // Untried emails are free again immediately, for this worker's next round or another worker.
    release(ctx, lease).await?;
    ends.into_iter().collect::<Result<(), AppError>>()?;
    Ok(Round {
        tried: batch.tried.into_inner(),
        blocked: batch.blocked.into_inner(),
    })
}

/// Emails under one lease, sent over several connections.
struct Batch<'a> {
    ctx: &'a AppContext,
    post: &'a MailerConfig,
    stop: &'a CancellationToken,
    lease: Uuid,
    began: Instant,
    tried: AtomicUsize,
    blocked: AtomicBool,
    messages: Mutex<std::vec::IntoIter<entity::outbox_email::Model>>,
}

impl Batch<'_> {
    /// Sends emails one after another, over one connection as long as it works.
    async fn send_batch(&self) -> Result<(), AppError> {
        let mut connection = None;
        while !self.is_over() {
            let Some(message) = self.messages.lock().await.next() else {
                break;
            };
            self.tried.fetch_add(1, Ordering::Relaxed);
            let sending = send(self.ctx, self.post, &mut connection, &message);
            let result = tokio::time::timeout(EMAIL_TIMEOUT, sending)
                .await
                .unwrap_or_else(|_| {
                    Err(SmtpError::Connection(
                        "the SMTP server did not respond in time".to_owned(),
                    ))
                });
            if let Err(SmtpError::Connection(_)) = result {
                // The connection may be in any state, so it is not reused.
                connection = None;
                self.blocked.store(true, Ordering::Relaxed);
            }
            finish(self.ctx, self.post, self.lease, &message, result).await?;
        }
        if let Some(connection) = connection {
            let _ = tokio::time::timeout(Duration::from_secs(1), connection.close()).await;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.stop.is_cancelled()
            || self.blocked.load(Ordering::Relaxed)
            || self.began.elapsed() > LAST_START
            || !self.ctx.leases().holds(self.lease)
    }
}

async fn send(
    ctx: &AppContext,
    post: &MailerConfig,
    connection: &mut Option<Connection>,
    message: &entity::outbox_email::Model,
) -> Result<(), SmtpError> {
    let message = build_message(ctx, post, message)
        .map_err(|error| SmtpError::Permanent(error.to_string()))?;
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(post.route.connect().await?),
    };
    connection.send(&message).await
}

/// Leases due emails to this worker: one statement in a write transaction, which on PostgreSQL skips rows that another
/// worker is leasing.
async fn claim(
    ctx: &AppContext,
    lease: Uuid,
) -> Result<Vec<entity::outbox_email::Model>, AppError> {
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
        .limit(BATCH);
    if due
        .clone()
        .into_tuple::<domain::EmailId>()
        .one(ctx.db().read())
        .await?
        .is_none()
    {
        return Ok(Vec::new());
    }
    let tx = ctx.db().begin().await?;
    let due: &mut _ = QuerySelect::query(&mut due);
    if ctx.db().backend() == sea_orm::DbBackend::Postgres {
        due.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    }
    let due = Query::select()
        .column(Column::Id)
        .from_subquery(due.take(), "due")
        .take();
    let messages = entity::OutboxEmail::update_many()
        .col_expr(Column::LeaseToken, Expr::value(lease))
        .col_expr(Column::LeaseUntil, Expr::value(now.after(LEASE)))
        .filter(Column::Id.in_subquery(due))
        .exec_with_returning(&tx)
        .await?;
    tx.commit().await?;
    Ok(messages)
}

/// Releases the emails that are still under this lease.
async fn release(ctx: &AppContext, lease: Uuid) -> Result<(), AppError> {
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

/// Records the outcome of an email, unless the lease was lost meanwhile.
async fn finish(
    ctx: &AppContext,
    post: &MailerConfig,
    lease: Uuid,
    message: &entity::outbox_email::Model,
    result: Result<(), SmtpError>,
) -> Result<(), AppError> {
    let now = Timestamp::now();
    let attempts = message.attempts + 1;
    let mut update = entity::OutboxEmail::update_many()
        .col_expr(Column::Attempts, Expr::value(attempts))
        .col_expr(Column::LeaseToken, Expr::value(None::<Uuid>))
        .col_expr(Column::LeaseUntil, Expr::value(None::<Timestamp>))
        .filter(Column::Id.eq(message.id))
        .filter(Column::LeaseToken.eq(lease));
    let meter = match result {
        Ok(()) => {
            update = blank(update).col_expr(Column::SentAt, Expr::value(now));
            tracing::info!(mail = %message.id, attempts, "mail sent");
            post.metrics.emails_sent()
        }
        Err(trouble) => {
            let (lost, error) = match trouble {
                SmtpError::Permanent(error) => (true, error),
                SmtpError::Connection(error) | SmtpError::Transient(error) => (false, error),
            };
            let wait = usize::try_from(message.attempts)
                .ok()
                .and_then(|tried| WAITS.get(tried))
                .filter(|_| !lost);
            tracing::warn!(mail = %message.id, attempts, error, again = wait.is_some(), "mail not sent");
            update = update.col_expr(Column::LastError, Expr::value(error));
            if let Some(&minutes) = wait {
                let next = now.after(domain::minutes(minutes));
                update = update.col_expr(Column::NextAttemptAt, Expr::value(next));
                post.metrics.emails_deferred()
            } else {
                update = blank(update).col_expr(Column::FailedAt, Expr::value(now));
                post.metrics.emails_failed()
            }
        }
    };
    let tx = ctx.db().begin().await?;
    if update.exec(&tx).await?.rows_affected == 0 {
        tracing::warn!(mail = %message.id, "the lease was lost; another worker sends this email");
    }
    tx.commit().await?;
    meter.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Erases the email's body: nobody needs it anymore, and its links may still work.
fn blank(update: UpdateMany<entity::OutboxEmail>) -> UpdateMany<entity::OutboxEmail> {
    update
        .col_expr(Column::BodyText, Expr::value(Vec::<u8>::new()))
        .col_expr(Column::BodyHtml, Expr::value(Vec::<u8>::new()))
        .col_expr(Column::UnsubscribeUrl, Expr::value(None::<Vec<u8>>))
}

fn build_message(
    ctx: &AppContext,
    post: &MailerConfig,
    message: &entity::outbox_email::Model,
) -> Result<Message> {
    let contents = store::email::decrypt(ctx, message).ok_or_else(|| {
        let problem =
            "the email cannot be decrypted: it was encrypted with another WHEELHOUSE_SECRET_KEY";
        tracing::error!(mail = %message.id, "{problem}");
        anyhow!(problem)
    })?;
    let to = Mailbox::new(None, message.recipient.as_str().parse()?);
    let mut message = Message::builder()
        .from(post.from.clone())
        .to(to)
        .subject(message.subject.clone())
        .message_id(Some(format!(
            "<{}@{}>",
            message.id,
            post.from.email.domain()
        )));
    if let Some(url) = &contents.unsubscribe_url {
        message = message
            .header(ListUnsubscribe(format!("<{url}>")))
            .header(OneClick);
    }
    Ok(message.multipart(MultiPart::alternative_plain_html(
        contents.text,
        contents.html,
    ))?)
}

/// RFC 2369: where to unsubscribe from this kind of email.
#[derive(Clone)]
struct ListUnsubscribe(String);

impl Header for ListUnsubscribe {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

/// RFC 8058: a single POST to that URL is enough.
#[derive(Clone)]
struct OneClick;

impl Header for OneClick {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe-Post")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "List-Unsubscribe=One-Click".to_owned())
    }
}

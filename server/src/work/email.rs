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
use store::context::AppContext;
use store::email::queue::{self, QueuedEmail, SendOutcome};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::smtp::{Connection, SmtpEndpoint, SmtpError};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::work::supervise::wait_for_work;

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
        queue::claim(ctx, lease, LEASE, BATCH).await?
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
    queue::release(ctx, lease).await?;
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
    messages: Mutex<std::vec::IntoIter<QueuedEmail>>,
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
    message: &QueuedEmail,
) -> Result<(), SmtpError> {
    let message = build_message(ctx, post, message)
        .map_err(|error| SmtpError::Permanent(error.to_string()))?;
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(post.route.connect().await?),
    };
    connection.send(&message).await
}

/// Records the outcome of an email, unless the lease was lost meanwhile.
async fn finish(
    ctx: &AppContext,
    post: &MailerConfig,
    lease: Uuid,
    message: &QueuedEmail,
    result: Result<(), SmtpError>,
) -> Result<(), AppError> {
    let attempts = message.attempts + 1;
    let (outcome, meter) = match result {
        Ok(()) => {
            tracing::info!(mail = %message.id, attempts, "mail sent");
            (SendOutcome::Sent, post.metrics.emails_sent())
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
            if let Some(&minutes) = wait {
                let at = Timestamp::now().after(domain::minutes(minutes));
                (
                    SendOutcome::Deferred { at, error },
                    post.metrics.emails_deferred(),
                )
            } else {
                (SendOutcome::Failed { error }, post.metrics.emails_failed())
            }
        }
    };
    if !queue::finish(ctx, lease, message, outcome).await? {
        tracing::warn!(mail = %message.id, "the lease was lost; another worker sends this email");
    }
    meter.inc();
    Ok(())
}

fn build_message(ctx: &AppContext, post: &MailerConfig, message: &QueuedEmail) -> Result<Message> {
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

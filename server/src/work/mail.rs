//! The mail worker: claims letters from the outbox by a lease, sends them by SMTP, and tries again with growing waits.

use std::time::Duration;

use anyhow::{Context, Result};
use app::db::entity::{self, mail::Column};
use app::domain::{AppError, Timestamp};
use app::house::House;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, UpdateMany,
};
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// How many letters one claim takes.
const BATCH: u64 = 10;
/// How long a claim holds. A worker that takes longer has lost it, and changes nothing any more.
const LEASE: Duration = Duration::from_mins(2);
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(5);
/// Minutes before the next attempt; after the last one the letter has failed.
const WAITS: [u64; 7] = [1, 5, 30, 120, 360, 720, 1440];

/// The way out: an SMTP server and whom letters are from.
#[derive(Clone)]
pub struct Post {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Post {
    /// Nothing without an SMTP server: then letters stay in the outbox.
    pub fn new(config: &Config) -> Result<Option<Self>> {
        let Some(url) = &config.smtp_url else {
            return Ok(None);
        };
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .context("WHEELHOUSE_SMTP_URL: not an address of an SMTP server")?
            .timeout(Some(SEND_TIMEOUT))
            .build();
        Ok(Some(Self {
            transport,
            from: config.mail_from.clone(),
        }))
    }
}

pub async fn run(house: House, post: Post, stop: CancellationToken) {
    loop {
        let committed = house.db().hub().committed();
        match send_due(&house, &post).await {
            Ok(1..) if !stop.is_cancelled() => continue,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the outbox could not be read; it will be tried again");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = committed => {}
            () = tokio::time::sleep(IDLE) => {}
        }
    }
}

/// Sends what is due and says how many letters were tried.
pub async fn send_due(house: &House, post: &Post) -> Result<usize, AppError> {
    let lease = Uuid::new_v4();
    let letters = claim(house, lease).await?;
    for letter in &letters {
        let outcome = match message(house, post, letter) {
            Ok(message) => match post.transport.send(message).await {
                Ok(_) => Ok(()),
                Err(error) => Err((error.is_permanent(), error.to_string())),
            },
            Err(error) => Err((true, error.to_string())),
        };
        finish(house, lease, letter, outcome).await?;
    }
    Ok(letters.len())
}

/// Takes due letters for this worker alone: one statement under a write transaction, which on PostgreSQL skips rows
/// that another worker is just taking.
async fn claim(house: &House, lease: Uuid) -> Result<Vec<entity::mail::Model>, AppError> {
    let now = Timestamp::now();
    let mut due = entity::Mail::find()
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
        .into_tuple::<app::domain::MailId>()
        .one(house.db().read())
        .await?
        .is_none()
    {
        return Ok(Vec::new());
    }
    let tx = house.db().begin().await?;
    let due: &mut _ = QuerySelect::query(&mut due);
    if house.db().backend() == sea_orm::DbBackend::Postgres {
        due.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    }
    let due = Query::select()
        .column(Column::Id)
        .from_subquery(due.take(), "due")
        .take();
    let letters = entity::Mail::update_many()
        .col_expr(Column::LeaseToken, Expr::value(lease))
        .col_expr(Column::LeaseUntil, Expr::value(now.after(LEASE)))
        .filter(Column::Id.in_subquery(due))
        .exec_with_returning(&tx)
        .await?;
    tx.commit().await?;
    Ok(letters)
}

/// Writes down what became of a letter, unless the lease was lost meanwhile.
async fn finish(
    house: &House,
    lease: Uuid,
    letter: &entity::mail::Model,
    outcome: Result<(), (bool, String)>,
) -> Result<(), AppError> {
    let now = Timestamp::now();
    let attempts = letter.attempts + 1;
    let mut update = entity::Mail::update_many()
        .col_expr(Column::Attempts, Expr::value(attempts))
        .col_expr(Column::LeaseToken, Expr::value(None::<Uuid>))
        .col_expr(Column::LeaseUntil, Expr::value(None::<Timestamp>))
        .filter(Column::Id.eq(letter.id))
        .filter(Column::LeaseToken.eq(lease));
    match outcome {
        Ok(()) => {
            update = blank(update).col_expr(Column::SentAt, Expr::value(now));
            tracing::info!(mail = %letter.id, attempts, "mail sent");
        }
        Err((permanent, error)) => {
            let wait = usize::try_from(letter.attempts)
                .ok()
                .and_then(|tried| WAITS.get(tried))
                .filter(|_| !permanent);
            tracing::warn!(mail = %letter.id, attempts, error, again = wait.is_some(), "mail not sent");
            update = update.col_expr(Column::LastError, Expr::value(error));
            update = match wait {
                Some(&minutes) => update.col_expr(
                    Column::NextAttemptAt,
                    Expr::value(now.after(app::domain::minutes(minutes))),
                ),
                None => blank(update).col_expr(Column::FailedAt, Expr::value(now)),
            };
        }
    }
    let tx = house.db().begin().await?;
    if update.exec(&tx).await?.rows_affected == 0 {
        tracing::warn!(mail = %letter.id, "the lease was lost; another worker answers for this letter");
    }
    tx.commit().await?;
    Ok(())
}

/// Takes out what the letter said: nobody needs it any more, and its links may still work.
fn blank(update: UpdateMany<entity::Mail>) -> UpdateMany<entity::Mail> {
    update
        .col_expr(Column::BodyText, Expr::value(Vec::<u8>::new()))
        .col_expr(Column::BodyHtml, Expr::value(Vec::<u8>::new()))
        .col_expr(Column::UnsubscribeUrl, Expr::value(None::<Vec<u8>>))
}

fn message(house: &House, post: &Post, letter: &entity::mail::Model) -> Result<Message> {
    let contents =
        app::mail::open(house, letter).context("the letter was sealed with another key")?;
    let to = Mailbox::new(None, letter.recipient.as_str().parse()?);
    let mut message = Message::builder()
        .from(post.from.clone())
        .to(to)
        .subject(letter.subject.clone())
        .message_id(Some(format!(
            "<{}@{}>",
            letter.id,
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

/// RFC 2369: where this kind of mail can be stopped.
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

/// RFC 8058: a single POST there is enough.
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

//! The outbox. An email is a row written in the transaction of the change that causes it; a worker of the server sends
//! it afterwards. So no email is sent for a change that was rolled back, and none is lost in a crash.
//!
//! Emails carry links that open accounts. Queued emails are encrypted with the server's key and their bodies are erased
//! after sending, so a copy of the database contains no working link.

pub mod digest;
pub mod limits;
mod message;
mod plain;
pub mod queue;
pub mod templates;
use domain::catalog::Category;
use domain::{AppError, Email, EmailId, EventId, Timestamp, UserId, days};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, EntityTrait, Set};

use crate::context::AppContext;
use crate::db::{Tx, entity};

pub use message::EmailMessage;

/// How long an email's row is kept, sent or not.
pub const KEPT: std::time::Duration = days(30);

/// The recipient of an email.
#[derive(Clone, Debug)]
pub struct Recipient {
    pub email: Email,
    /// Empty for someone who has no account yet.
    pub user: Option<UserId>,
}

/// Marks an email as a notification: its event, and the URL that unsubscribes from its category with one click.
#[derive(Clone, Debug)]
pub struct NotificationMeta {
    pub event: EventId,
    pub category: Category,
    pub unsubscribe_url: String,
}

/// How many emails one statement inserts: their columns are bound one by one, and a statement binds 32,766 values at
/// most.
const ROWS: usize = 500;

/// Queues an email.
pub async fn enqueue(
    tx: &mut Tx,
    ctx: &AppContext,
    to: Recipient,
    message: EmailMessage,
    notice: Option<NotificationMeta>,
) -> Result<EmailId, AppError> {
    let row = row(ctx, to, &message, notice);
    Ok(row.insert(tx).await?.id)
}

/// A notification email, written and encrypted, ready to be queued.
#[derive(Clone, Debug)]
pub struct PreparedEmail(entity::outbox_email::ActiveModel);

impl PreparedEmail {
    pub fn new(
        ctx: &AppContext,
        to: Recipient,
        message: &EmailMessage,
        notice: NotificationMeta,
    ) -> Self {
        Self(row(ctx, to, message, Some(notice)))
    }

    /// The event it is about.
    pub fn event(&self) -> Option<EventId> {
        self.0.event_id.try_as_ref().copied().flatten()
    }
}

/// Queues many notifications at once. Nobody gets a second email about the same event.
pub async fn insert_notifications(tx: &Tx, notices: Vec<PreparedEmail>) -> Result<(), AppError> {
    use entity::outbox_email::Column;
    let mut rows = notices.into_iter().map(|PreparedEmail(row)| row).peekable();
    while rows.peek().is_some() {
        entity::OutboxEmail::insert_many(rows.by_ref().take(ROWS).collect::<Vec<_>>())
            .on_conflict(
                OnConflict::columns([Column::UserId, Column::EventId])
                    .do_nothing()
                    .to_owned(),
            )
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

fn row(
    ctx: &AppContext,
    to: Recipient,
    message: &EmailMessage,
    notice: Option<NotificationMeta>,
) -> entity::outbox_email::ActiveModel {
    let id = EmailId::new();
    let now = Timestamp::now();
    let (event, category, unsubscribe_url) = match notice {
        Some(notice) => (
            Some(notice.event),
            Some(notice.category),
            Some(notice.unsubscribe_url),
        ),
        None => (None, None, None),
    };
    entity::outbox_email::ActiveModel {
        id: Set(id),
        user_id: Set(to.user),
        event_id: Set(event),
        category: Set(category),
        recipient: Set(to.email),
        subject: Set(message.subject()),
        body_text: Set(encrypt_part(ctx, id, Part::Text, &message.text())),
        body_html: Set(encrypt_part(ctx, id, Part::Html, &message.html())),
        unsubscribe_url: Set(
            unsubscribe_url.map(|url| encrypt_part(ctx, id, Part::Unsubscribe, &url))
        ),
        created_at: Set(now),
        attempts: Set(0),
        next_attempt_at: Set(Some(now)),
        lease_token: Set(None),
        lease_until: Set(None),
        sent_at: Set(None),
        failed_at: Set(None),
        last_error: Set(None),
    }
}

/// The encryption purpose of an email's text.
pub(crate) const TEXT_PURPOSE: &str = "mail text";

/// The encrypted parts of an email, each with a purpose of its own.
#[derive(Clone, Copy)]
enum Part {
    Text,
    Html,
    Unsubscribe,
}

impl Part {
    const fn purpose(self) -> &'static str {
        match self {
            Self::Text => TEXT_PURPOSE,
            Self::Html => "mail html",
            Self::Unsubscribe => "mail unsubscribe",
        }
    }
}

fn encrypt_part(ctx: &AppContext, id: EmailId, part: Part, text: &str) -> Vec<u8> {
    ctx.master_key()
        .encrypt(part.purpose(), &id.to_string(), text.as_bytes())
}

/// The contents of an email, decrypted from its row.
#[derive(Clone, Debug)]
pub struct Contents {
    pub text: String,
    pub html: String,
    pub unsubscribe_url: Option<String>,
}

/// Decrypts an email. Returns nothing if it was erased or encrypted with another key.
pub fn decrypt(ctx: &AppContext, mail: &entity::outbox_email::Model) -> Option<Contents> {
    let decrypt = |part: Part, sealed: &[u8]| {
        let plain = ctx
            .master_key()
            .decrypt(part.purpose(), &mail.id.to_string(), sealed)?;
        String::from_utf8(plain).ok()
    };
    let unsubscribe_url = match &mail.unsubscribe_url {
        Some(sealed) => Some(decrypt(Part::Unsubscribe, sealed)?),
        None => None,
    };
    Some(Contents {
        text: decrypt(Part::Text, &mail.body_text)?,
        html: decrypt(Part::Html, &mail.body_html)?,
        unsubscribe_url,
    })
}

//! The outbox. Mail is a row written in the transaction of the change that causes it; a worker of the server sends
//! it afterwards, so that no mail leaves for a change that was taken back, and none is lost to a crash.
//!
//! Letters carry links that open accounts. They are sealed with the server's key while they wait and blanked once they
//! have left, so that whoever reads the database or a backup of it finds no link that works.

mod message;
mod plain;
pub mod templates;
pub use message::EmailMessage;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, EntityTrait, Set};

use crate::catalog::Category;
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::domain::{AppError, Email, EmailId, EventId, Timestamp, UserId, days};

/// How long a letter's row is kept, sent or not.
pub const KEPT: std::time::Duration = days(30);

/// Whom a letter is for.
#[derive(Clone, Debug)]
pub struct Recipient {
    pub email: Email,
    /// Empty for someone who has no account yet.
    pub user: Option<UserId>,
}

/// That a letter is a notification: which event it tells of, and where one click stops its kind.
#[derive(Clone, Debug)]
pub struct NotificationMeta {
    pub event: EventId,
    pub category: Category,
    pub unsubscribe_url: String,
}

/// How many letters one statement inserts: their columns are bound one by one, and a statement binds 32,766 at most.
const ROWS: usize = 500;

/// Puts a letter into the outbox.
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

/// A notification as it will lie in the outbox, written and sealed.
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

    /// The event that it tells of.
    pub fn event(&self) -> Option<EventId> {
        self.0.event_id.try_as_ref().copied().flatten()
    }
}

/// Puts notifications into the outbox, many at once. Whoever was written to about an event is not written to again.
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

/// What a letter's text is sealed for.
pub(crate) const TEXT_PURPOSE: &str = "mail text";

/// The parts of a letter that are sealed, each under a purpose of its own.
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

/// What a letter says, read back from its row.
#[derive(Clone, Debug)]
pub struct Contents {
    pub text: String,
    pub html: String,
    pub unsubscribe_url: Option<String>,
}

/// Decrypts an email. Nothing if it was erased since, or encrypted with another key.
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

//! The outbox. Mail is a row written in the transaction of the change that causes it; a worker of the server sends
//! it afterwards, so that no mail leaves for a change that was taken back, and none is lost to a crash.

mod letter;
pub mod letters;
pub use letter::Letter;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, EntityTrait, Set};

use crate::catalog::Category;
use crate::db::{Tx, entity};
use crate::domain::{AppError, Email, EventId, MailId, Timestamp, UserId};

/// Whom a letter is for.
#[derive(Clone, Debug)]
pub struct Addressee {
    pub email: Email,
    /// Empty for someone who has no account yet.
    pub user: Option<UserId>,
}

/// That a letter is a notification: which event it tells of, and where one click stops its kind.
#[derive(Clone, Debug)]
pub struct Notice {
    pub event: EventId,
    pub category: Category,
    pub unsubscribe_url: String,
}

/// How many letters one statement inserts: their columns are bound one by one, and a statement binds 32,766 at most.
const ROWS: usize = 500;

/// Puts a letter into the outbox.
pub async fn post(
    tx: &mut Tx,
    to: Addressee,
    letter: Letter,
    notice: Option<Notice>,
) -> Result<MailId, AppError> {
    let row = row(to, &letter, notice);
    Ok(row.insert(tx).await?.id)
}

/// Puts notifications into the outbox, many at once. Whoever was written to about an event is not written to again.
pub async fn post_notices(
    tx: &mut Tx,
    notices: Vec<(Addressee, Letter, Notice)>,
) -> Result<(), AppError> {
    use entity::mail::Column;
    let mut rows = notices
        .into_iter()
        .map(|(to, letter, notice)| row(to, &letter, Some(notice)))
        .peekable();
    while rows.peek().is_some() {
        entity::Mail::insert_many(rows.by_ref().take(ROWS).collect::<Vec<_>>())
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

fn row(to: Addressee, letter: &Letter, notice: Option<Notice>) -> entity::mail::ActiveModel {
    let now = Timestamp::now();
    let (event, category, unsubscribe_url) = match notice {
        Some(notice) => (
            Some(notice.event),
            Some(notice.category),
            Some(notice.unsubscribe_url),
        ),
        None => (None, None, None),
    };
    entity::mail::ActiveModel {
        id: Set(MailId::new()),
        user_id: Set(to.user),
        event_id: Set(event),
        category: Set(category),
        recipient: Set(to.email),
        subject: Set(letter.subject()),
        body_text: Set(letter.text()),
        body_html: Set(letter.html()),
        unsubscribe_url: Set(unsubscribe_url),
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

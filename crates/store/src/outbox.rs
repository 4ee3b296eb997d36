//! The demo's page of unsent email.

use domain::AppError;
use domain::outbox::{Outbox, OutboxEmailView};
use sea_orm::{EntityTrait, QueryOrder, QueryTrait};

use crate::context::AppContext;
use crate::db::{entity, rows};
use crate::email;

const LATEST: u64 = 50;
/// Shown for an email that was encrypted with another key.
const UNREADABLE: &str =
    "This email can't be decrypted. The server's key has changed since it was written.";

/// Everyone who can reach a demo may read its outbox: its emails are nobody's. Otherwise the page does not exist.
pub async fn view(ctx: &AppContext) -> Result<Outbox, AppError> {
    if !ctx.site().demo || ctx.site().sends_mail {
        return Err(AppError::NotFound);
    }
    let query = entity::OutboxEmail::find()
        .order_by_desc(entity::outbox_email::Column::Id)
        .into_query();
    let messages: Vec<entity::outbox_email::Model> =
        rows::up_to(LATEST, query, ctx.db().read()).await?;
    let messages = messages.into_iter().map(|mail| {
        let contents = email::decrypt(ctx, &mail);
        OutboxEmailView {
            id: mail.id,
            text: contents
                .as_ref()
                .map_or_else(|| UNREADABLE.to_owned(), |contents| contents.text.clone()),
            unsubscribe: contents.and_then(|contents| contents.unsubscribe_url),
            to: mail.recipient.to_string(),
            subject: mail.subject,
            at: mail.created_at,
        }
    });
    Ok(Outbox {
        messages: messages.collect(),
    })
}

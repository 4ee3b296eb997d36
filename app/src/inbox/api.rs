use leptos::prelude::*;

use super::model::InboxPage;
use crate::domain::AppError;
use crate::form::FormSuccess;
use crate::rpc::Postcard;

#[cfg(feature = "ssr")]
use {super::store, crate::domain::Timestamp, crate::session::caller};

/// `category` and `before` as in the URL; invalid values count as missing.
#[server(output = Postcard)]
pub async fn load_inbox(
    workspace: String,
    category: String,
    before: String,
) -> Result<InboxPage, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    store::list(
        caller.ctx(),
        &actor,
        category.parse().ok(),
        before.parse().ok(),
    )
    .await
}

/// Marks one notification; `read` is the requested state, `true` or `false`.
#[server(output = Postcard)]
pub async fn mark_notification(
    workspace: String,
    notification: String,
    read: String,
) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let id = notification.parse().map_err(|_| AppError::NotFound)?;
    let read = read == "true";
    store::mark(caller.ctx(), &actor, id, read).await?;
    Ok(FormSuccess::with_message(if read {
        "Marked as read"
    } else {
        "Marked as unread"
    }))
}

/// Marks as read what the page shows. `category` is its filter, and `newest` is the first notification of its list,
/// because later ones were not seen. Without either, all notifications are marked.
#[server(output = Postcard)]
pub async fn mark_all_read(
    workspace: String,
    #[server(default)] category: String,
    #[server(default)] newest: String,
) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    store::mark_all_read(
        caller.ctx(),
        &actor,
        category.parse().ok(),
        newest.parse().ok(),
    )
    .await
}

/// `read_at` is the time, in milliseconds, at which they were marked as read.
#[server(output = Postcard)]
pub async fn undo_mark_all_read(
    workspace: String,
    read_at: String,
) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let read_at = read_at.parse().map_err(|_| AppError::NotFound)?;
    store::undo_mark_all_read(caller.ctx(), &actor, Timestamp::from_millis(read_at)).await
}

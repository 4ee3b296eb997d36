use domain::form::FormSuccess;
use domain::inbox::InboxPage;
use leptos::prelude::*;

use crate::rpc::{Postcard, RpcError};

#[cfg(feature = "ssr")]
use {crate::session::caller, domain::AppError, domain::Timestamp, store::inbox};

/// `category` and `before` as in the URL; invalid values count as missing.
#[server(output = Postcard)]
pub async fn load_inbox(
    workspace: String,
    category: String,
    before: String,
) -> Result<InboxPage, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(inbox::list(
        caller.ctx(),
        &actor,
        category.parse().ok(),
        before.parse().ok(),
    )
    .await?)
}

/// Marks one notification; `read` is the requested state, `true` or `false`.
#[server(output = Postcard)]
pub async fn mark_notification(
    workspace: String,
    notification: String,
    read: String,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let id = notification.parse().map_err(|_| AppError::NotFound)?;
    let read = read == "true";
    inbox::mark(caller.ctx(), &actor, id, read).await?;
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
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(inbox::mark_all_read(
        caller.ctx(),
        &actor,
        category.parse().ok(),
        newest.parse().ok(),
    )
    .await?)
}

/// `read_at` is the time, in milliseconds, at which they were marked as read.
#[server(output = Postcard)]
pub async fn undo_mark_all_read(
    workspace: String,
    read_at: String,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let read_at = read_at.parse().map_err(|_| AppError::NotFound)?;
    Ok(inbox::undo_mark_all_read(caller.ctx(), &actor, Timestamp::from_millis(read_at)).await?)
}

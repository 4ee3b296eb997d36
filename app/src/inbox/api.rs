use leptos::prelude::*;

use super::model::InboxPage;
use crate::call::Compact;
use crate::domain::AppError;
use crate::form::Done;

#[cfg(feature = "ssr")]
use {super::store, crate::session::caller};

/// `category` and `before` as they stand in the address; what is no category or id counts as none.
#[server(output = Compact)]
pub async fn load_inbox(
    workspace: String,
    category: String,
    before: String,
) -> Result<InboxPage, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    store::list(
        caller.house(),
        &actor,
        category.parse().ok(),
        before.parse().ok(),
    )
    .await
}

/// Marks one notification; `read` is `true` or `false`, the state that is wanted.
#[server(output = Compact)]
pub async fn mark_notification(
    workspace: String,
    notification: String,
    read: String,
) -> Result<Done, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let id = notification.parse().map_err(|_| AppError::NotFound)?;
    let read = read == "true";
    store::mark(caller.house(), &actor, Some(id), read).await?;
    Ok(Done::said(if read {
        "Marked as read"
    } else {
        "Marked as unread"
    }))
}

#[server(output = Compact)]
pub async fn mark_all_read(workspace: String) -> Result<Done, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let changed = store::mark(caller.house(), &actor, None, true).await?;
    Ok(Done::said(match changed {
        0 => "Nothing was unread".to_owned(),
        1 => "1 notification marked as read".to_owned(),
        n => format!("{n} notifications marked as read"),
    }))
}

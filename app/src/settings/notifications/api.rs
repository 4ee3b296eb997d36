use domain::form::FormSuccess;
use domain::notifications::MatrixView;
use leptos::prelude::*;

use crate::rpc::{Postcard, RpcError};

#[cfg(feature = "ssr")]
use {
    crate::session::caller,
    domain::AppError,
    domain::{
        catalog::Channel,
        notifications::{Range, Switch},
    },
    store::notifications,
};

#[server(output = Postcard)]
pub async fn load_matrix() -> Result<MatrixView, RpcError> {
    let caller = caller()?;
    Ok(notifications::view(caller.ctx(), &caller.person().await?).await?)
}

/// A switch in a sentence: `Billing emails`, `Contact updated notifications`.
#[cfg(feature = "ssr")]
fn spoken(switch: Switch) -> String {
    match switch {
        Switch::Cell(category, Channel::Email) => format!("{} emails", category.label()),
        Switch::Cell(category, Channel::InApp) => {
            format!("{} in-app notifications", category.label())
        }
        Switch::Quiet(event) => format!("{} notifications", event.label()),
    }
}

/// Sets one switch to a given state. It never toggles: a repeated request must not undo itself.
#[server(output = Postcard)]
pub async fn set_notification(switch: String, on: String) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let switch: Switch = switch.parse().map_err(|()| AppError::Malformed)?;
    let on = on == "true";
    notifications::set(caller.ctx(), &caller.person().await?, switch, on).await?;
    Ok(FormSuccess::with_message(format!(
        "{} turned {}",
        spoken(switch),
        if on { "on" } else { "off" }
    )))
}

/// Sets a whole row or column.
#[server(output = Postcard)]
pub async fn set_notifications(range: String, on: String) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let range: Range = range.parse().map_err(|()| AppError::Malformed)?;
    let on = on == "true";
    notifications::set_range(caller.ctx(), &caller.person().await?, range, on).await?;
    let state = if on { "on" } else { "off" };
    Ok(FormSuccess::with_message(match range {
        Range::Row(category) => format!("{} notifications turned {state}", category.label()),
        Range::Column(channel) => format!("{} turned {state} for all types", channel.label()),
    }))
}

/// What an email's unsubscribe link turns off, for its page.
#[server(output = Postcard)]
pub async fn load_unsubscribe(token: String) -> Result<String, RpcError> {
    let ctx = crate::session::app_context()?;
    let (_, switch) = notifications::read_unsubscribe(&ctx, &token).ok_or(AppError::NotFound)?;
    Ok(spoken(switch))
}

/// Turns off the one switch that caused an email, without signing in: the link is the proof.
#[server(output = Postcard)]
pub async fn unsubscribe(token: String) -> Result<FormSuccess, RpcError> {
    let ctx = crate::session::app_context()?;
    let (user, switch) = notifications::read_unsubscribe(&ctx, &token).ok_or(AppError::NotFound)?;
    notifications::write(&ctx, user, &[(switch, false)]).await?;
    Ok(FormSuccess::with_message(format!(
        "You're unsubscribed from {}",
        spoken(switch)
    )))
}

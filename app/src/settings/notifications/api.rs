use leptos::prelude::*;

use super::model::MatrixView;
use crate::domain::AppError;
use crate::form::FormSuccess;
use crate::rpc::Postcard;

#[cfg(feature = "ssr")]
use {
    super::model::{Range, Switch},
    super::store,
    crate::session::caller,
};

#[server(output = Postcard)]
pub async fn load_matrix() -> Result<MatrixView, AppError> {
    let caller = caller()?;
    store::view(caller.ctx(), &caller.person().await?).await
}

/// Sets one switch to a wanted state (never "flip": a request that is repeated must not undo itself).
#[server(output = Postcard)]
pub async fn set_notification(switch: String, on: String) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let switch: Switch = switch.parse().map_err(|()| AppError::Malformed)?;
    let on = on == "true";
    store::set(caller.ctx(), &caller.person().await?, switch, on).await?;
    Ok(FormSuccess::with_message(format!(
        "{} is {}",
        super::page::cell_name(switch),
        if on { "on" } else { "off" }
    )))
}

/// Sets a whole row or column.
#[server(output = Postcard)]
pub async fn set_notifications(range: String, on: String) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let range: Range = range.parse().map_err(|()| AppError::Malformed)?;
    let on = on == "true";
    store::set_range(caller.ctx(), &caller.person().await?, range, on).await?;
    let what = match range {
        Range::Row(category) => category.label(),
        Range::Column(channel) => channel.label(),
    };
    Ok(FormSuccess::with_message(format!(
        "{what}: all {}",
        if on { "on" } else { "off" }
    )))
}

/// What a mail's unsubscribe link is about, for its page: the name of the cell.
#[server(output = Postcard)]
pub async fn load_unsubscribe(token: String) -> Result<String, AppError> {
    let ctx = crate::session::app_context()?;
    let (_, switch) = store::read_unsubscribe(&ctx, &token).ok_or(AppError::NotFound)?;
    Ok(super::page::cell_name(switch))
}

/// Turns off the one cell that a mail came from, without signing in: the link is the proof.
#[server(output = Postcard)]
pub async fn unsubscribe(token: String) -> Result<FormSuccess, AppError> {
    let ctx = crate::session::app_context()?;
    let (user, switch) = store::read_unsubscribe(&ctx, &token).ok_or(AppError::NotFound)?;
    store::write(&ctx, user, &[(switch, false)]).await?;
    Ok(FormSuccess::with_message(format!(
        "{} is off",
        super::page::cell_name(switch)
    )))
}

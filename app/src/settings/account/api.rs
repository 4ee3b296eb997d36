use domain::account::{AccountView, PasswordForm, ProfileForm};
use domain::form::FormSuccess;
use leptos::prelude::*;

use crate::rpc::{Postcard, RpcError};

#[cfg(feature = "ssr")]
use {crate::session::caller, domain::AppError, store::account};

#[server(output = Postcard)]
pub async fn load_account() -> Result<AccountView, RpcError> {
    let caller = caller()?;
    Ok(account::view(caller.ctx(), &caller.person().await?).await?)
}

#[server(output = Postcard)]
pub async fn save_profile(#[server(default)] form: ProfileForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let person = caller.person().await?;
    let (name, email) = form.parse().map_err(AppError::Invalid)?;
    Ok(account::save_profile(
        caller.ctx(),
        caller.info(),
        &person,
        name,
        email,
        &form.current_password,
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn resend_email_change() -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    account::resend_change(caller.ctx(), caller.info(), &caller.person().await?).await?;
    Ok(FormSuccess::with_message("Confirmation email sent"))
}

#[server(output = Postcard)]
pub async fn cancel_email_change() -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    account::cancel_change(caller.ctx(), &caller.person().await?).await?;
    Ok(FormSuccess::with_message("Email change cancelled"))
}

#[server(output = Postcard)]
pub async fn update_password(
    #[server(default)] form: PasswordForm,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let person = caller.person().await?;
    form.check().map_err(AppError::Invalid)?;
    let ended = account::update_password(caller.ctx(), caller.info(), &person, &form).await?;
    Ok(FormSuccess::with_message(match ended {
        0 => "Password updated".to_owned(),
        1 => "Password updated. Signed out of 1 other session.".to_owned(),
        n => format!("Password updated. Signed out of {n} other sessions."),
    }))
}

#[server(output = Postcard)]
pub async fn end_session(session: String) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let session = session.parse().map_err(|_| AppError::NotFound)?;
    account::end_session(caller.ctx(), &caller.person().await?, session).await?;
    Ok(FormSuccess::with_message("Session ended"))
}

#[server(output = Postcard)]
pub async fn end_other_sessions() -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let ended = account::end_others(caller.ctx(), &caller.person().await?).await?;
    Ok(FormSuccess::with_message(match ended {
        1 => "Signed out of 1 other session".to_owned(),
        n => format!("Signed out of {n} other sessions"),
    }))
}

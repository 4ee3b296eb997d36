//! Password reset with a link from an email.

use domain::catalog::EventType;
use domain::{AppError, Email, Secret};
use sea_orm::EntityTrait;
use serde_json::json;

use super::confirmation::{end_links, mark_confirmed};
use super::passwords::{check_password_strength, set_password_hash};
use super::session::end_other_sessions;
use super::sign_in::find_user;
use crate::auth::key_changes::KeyChange;
use crate::auth::links::{self, LinkPurpose};
use crate::auth::networks;
use crate::auth::reauth::lock_user;
use crate::auth::request::RequestInfo;
use crate::context::AppContext;
use crate::db::entity;
use crate::email::{self, Recipient, templates};
use crate::events::{self, NewEvent, Origin};

/// Sends a password reset link if the account exists. The response is the same if it does not.
pub async fn request_reset(
    ctx: &AppContext,
    info: &RequestInfo,
    email: &str,
) -> Result<(), AppError> {
    let email = Email::parse(email).map_err(|error| AppError::field("email", error))?;
    let user = find_user(ctx, &email).await?;
    let known = match &user {
        Some(user) => networks::is_known(ctx.db(), user.id, info.address).await?,
        None => false,
    };
    ctx.limits().mail(info.address, email.as_str(), known)?;
    let Some(user) = user else {
        return Ok(());
    };
    // The response must not reveal whether the account exists, so this limit is silent.
    if user.email_confirmed_at.is_none() && ctx.limits().unconfirmed(&email).is_err() {
        return Ok(());
    }
    let mut tx = ctx.db().begin().await?;
    let token = links::issue(&mut tx, LinkPurpose::ResetPassword, user.id).await?;
    let name = ctx
        .site()
        .counts_as_confirmed(user.email_confirmed_at)
        .then_some(user.name.as_str());
    let message = templates::reset_password(ctx.site(), name, token.expose());
    email::enqueue(
        &mut tx,
        ctx,
        Recipient {
            email: user.email,
            user: Some(user.id),
        },
        message,
        None,
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Sets a new password with a link from an email. Ends every session, every other link and any pending change of email
/// address of the account: they may be a stranger's.
pub async fn reset_password(
    ctx: &AppContext,
    info: &RequestInfo,
    token: &Secret,
    password: &Secret,
) -> Result<(), AppError> {
    let dead = || {
        AppError::Conflict(
            "This link has expired or was already used. Request a new one.".to_owned(),
        )
    };
    ctx.limits().token(info.address)?;
    let user = links::peek(ctx, LinkPurpose::ResetPassword, token)
        .await?
        .ok_or_else(dead)?;
    let user = entity::User::find_by_id(user)
        .one(ctx.db().read())
        .await?
        .ok_or_else(dead)?;
    check_password_strength(ctx, "password", password, &user.name, &user.email).await?;
    let hash = ctx.passwords().hash(password).await?;
    let mut tx = ctx.db().begin().await?;
    lock_user(&tx, user.id).await?;
    links::redeem(&mut tx, LinkPurpose::ResetPassword, token)
        .await?
        .ok_or_else(dead)?;
    set_password_hash(&mut tx, user.id, hash).await?;
    end_other_sessions(&mut tx, user.id, None).await?;
    end_links(&mut tx, user.id).await?;
    // Using the link proves that the mailbox is theirs.
    mark_confirmed(&mut tx, user.id).await?;
    let event = NewEvent::about_person(
        user.id,
        EventType::SecurityPasswordChanged,
        json!({"by": "link"}),
    );
    events::record(&mut tx, Origin::person(user.id, &user.name), event).await?;
    tx.commit().await?;
    ctx.key_changes().send(KeyChange::Confirmed);
    Ok(())
}

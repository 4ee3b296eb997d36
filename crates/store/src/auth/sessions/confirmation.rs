//! Confirmation of email addresses, and the end of a user's unused links.

use domain::{AppError, Email, Secret, Timestamp, Topic, UserId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::auth::actor::SignedInUser;
use crate::auth::key_changes::KeyChange;
use crate::auth::links::{self, LinkPurpose};
use crate::auth::request::RequestInfo;
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::email::{self, Recipient, templates};
use crate::live::Invalidation;

/// Revokes everything else that could sign this user in or change their email address: all unused links and a pending
/// change of email address.
pub async fn end_links(tx: &mut Tx, user: UserId) -> Result<(), AppError> {
    links::revoke_all(tx, user).await?;
    end_waiting_change(tx, user).await?;
    Ok(())
}

/// Cancels the pending change of email address. `false`: there was none.
pub async fn end_waiting_change(tx: &mut Tx, user: UserId) -> Result<bool, AppError> {
    use entity::email_change::Column;
    let ended = entity::EmailChange::update_many()
        .col_expr(Column::EndedAt, Expr::value(Timestamp::now()))
        .filter(Column::UserId.eq(user))
        .filter(Column::ConfirmedAt.is_null())
        .filter(Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    Ok(ended.rows_affected > 0)
}

pub async fn mark_confirmed(tx: &mut Tx, user: UserId) -> Result<(), AppError> {
    use entity::user::Column;
    let confirmed = entity::User::update_many()
        .col_expr(Column::EmailConfirmedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(user))
        .filter(Column::EmailConfirmedAt.is_null())
        .exec(tx)
        .await?;
    if confirmed.rows_affected > 0 {
        // From now on they get as much email as others.
        entity::EmailWindow::delete_by_id(user).exec(tx).await?;
    }
    tx.invalidate(Invalidation::user(user, Topic::Account));
    Ok(())
}

pub async fn send_confirmation(
    tx: &mut Tx,
    ctx: &AppContext,
    user: UserId,
    email: &Email,
) -> Result<(), AppError> {
    let token = links::issue(tx, LinkPurpose::ConfirmEmail, user).await?;
    let message = templates::confirm_address(ctx.site(), token.expose());
    email::enqueue(
        tx,
        ctx,
        Recipient {
            email: email.clone(),
            user: Some(user),
        },
        message,
        None,
    )
    .await?;
    Ok(())
}

pub async fn resend_confirmation(
    ctx: &AppContext,
    info: &RequestInfo,
    person: &SignedInUser,
) -> Result<(), AppError> {
    if person.is_confirmed() {
        return Err(AppError::Conflict(
            "Your email address is already confirmed.".to_owned(),
        ));
    }
    ctx.limits()
        .mail(info.address, person.email().as_str(), true)?;
    ctx.limits().unconfirmed(person.email())?;
    let mut tx = ctx.db().begin().await?;
    send_confirmation(&mut tx, ctx, person.id(), person.email()).await?;
    tx.commit().await?;
    Ok(())
}

/// Confirms the email address given at sign-up. `false`: the link is not valid.
pub async fn confirm_address(ctx: &AppContext, token: &Secret) -> Result<bool, AppError> {
    let mut tx = ctx.db().begin().await?;
    let Some(user) = links::redeem(&mut tx, LinkPurpose::ConfirmEmail, token).await? else {
        return Ok(false);
    };
    mark_confirmed(&mut tx, user).await?;
    tx.commit().await?;
    ctx.key_changes().send(KeyChange::Confirmed);
    Ok(true)
}

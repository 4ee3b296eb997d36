//! Pending changes of email address. A change takes effect once its link is followed.

use domain::{AppError, Email, EmailChangeId, Timestamp, Topic, UserId};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, Set,
};

use crate::auth::{RequestInfo, SignedInUser, links, sessions};
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::email::{self, Recipient, templates};
use crate::live::Invalidation;
use crate::master_key::Token;

/// The condition for an email change that can still be confirmed.
pub(super) fn waits() -> Condition {
    use entity::email_change::Column;
    Condition::all()
        .add(Column::ConfirmedAt.is_null())
        .add(Column::EndedAt.is_null())
        .add(Column::ExpiresAt.gt(Timestamp::now()))
}

pub(super) async fn pending(
    connection: &impl sea_orm::ConnectionTrait,
    user: UserId,
) -> Result<Option<entity::email_change::Model>, AppError> {
    use entity::email_change::Column;
    Ok(entity::EmailChange::find()
        .filter(Column::UserId.eq(user))
        .filter(waits())
        .one(connection)
        .await?)
}

/// Writes the change down and tells both addresses. If the new one belongs to someone else, that person is told and
/// nobody learns here that it does.
pub(super) async fn begin_change(
    tx: &mut Tx,
    ctx: &AppContext,
    user: &entity::user::Model,
    name: &str,
    email: &Email,
) -> Result<(), AppError> {
    sessions::end_waiting_change(tx, user.id).await?;
    let (confirm, revert) = (Token::generate(), Token::generate());
    let now = Timestamp::now();
    entity::email_change::ActiveModel {
        id: Set(EmailChangeId::new()),
        user_id: Set(user.id),
        old_email: Set(user.email.clone()),
        new_email: Set(email.clone()),
        confirm_hash: Set(confirm.hash()),
        revert_hash: Set(revert.hash()),
        created_at: Set(now),
        expires_at: Set(now.after(links::TOKEN_LIFE)),
        confirmed_at: Set(None),
        ended_at: Set(None),
    }
    .insert(tx)
    .await?;
    let taken = entity::User::find()
        .filter(entity::user::Column::Email.eq(email.clone()))
        .count(tx)
        .await?
        > 0
        || links::is_held(tx, email, Some(user.id)).await?;
    let message = if taken {
        templates::address_in_use(ctx.site(), "there")
    } else {
        templates::confirm_new_address(ctx.site(), confirm.plain().expose())
    };
    email::enqueue(
        tx,
        ctx,
        Recipient {
            email: email.clone(),
            user: None,
        },
        message,
        None,
    )
    .await?;
    let warning = templates::address_changes(ctx.site(), name, email, revert.plain().expose());
    email::enqueue(
        tx,
        ctx,
        Recipient {
            email: user.email.clone(),
            user: Some(user.id),
        },
        warning,
        None,
    )
    .await?;
    Ok(())
}

/// Restarts the pending change with new links and another hour.
pub async fn resend_change(
    ctx: &AppContext,
    info: &RequestInfo,
    person: &SignedInUser,
) -> Result<(), AppError> {
    let nothing_waits = || AppError::Conflict("There's no pending email change.".to_owned());
    let waiting = pending(ctx.db().read(), person.id())
        .await?
        .ok_or_else(nothing_waits)?;
    ctx.limits()
        .mail(info.address, waiting.new_email.as_str(), false)?;
    ctx.limits().unconfirmed(&waiting.new_email)?;
    let mut tx = ctx.db().begin().await?;
    let user = sessions::lock_person(&tx, person).await?;
    let change = pending(&tx, user.id)
        .await?
        .filter(|change| change.new_email == waiting.new_email)
        .ok_or_else(nothing_waits)?;
    begin_change(&mut tx, ctx, &user, &user.name, &change.new_email).await?;
    tx.invalidate(Invalidation::user(person.id(), Topic::Account));
    tx.commit().await?;
    Ok(())
}

pub async fn cancel_change(ctx: &AppContext, person: &SignedInUser) -> Result<(), AppError> {
    let mut tx = ctx.db().begin().await?;
    if !sessions::end_waiting_change(&mut tx, person.id()).await? {
        return Err(AppError::Conflict(
            "There's no pending email change.".to_owned(),
        ));
    }
    tx.invalidate(Invalidation::user(person.id(), Topic::Account));
    tx.commit().await?;
    Ok(())
}

//! The links in the emails about a change of email address: one confirms the change, the other reverts it.

use domain::catalog::EventType;
use domain::session::LinkKind;
use domain::{AppError, Email, Secret, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter};
use serde_json::json;

use crate::auth::key_changes::KeyChange;
use crate::auth::{links, sessions};
use crate::context::AppContext;
use crate::db::{Tx, entity, is_unique_violation};
use crate::email::{self, Recipient, templates};
use crate::events::{self, NewEvent, Origin};
use crate::master_key::hash_token;

/// What a link from one of the two emails does.
pub async fn link_kind(ctx: &AppContext, token: &Secret) -> Result<LinkKind, AppError> {
    let change = find_change(ctx.db().read(), token).await?;
    Ok(match change {
        Some((change, LinkRole::Confirm)) if is_confirmable(&change) => LinkKind::ConfirmChange,
        Some((change, LinkRole::Revert)) if is_revertible(&change) => LinkKind::KeepAddress,
        _ => LinkKind::Dead,
    })
}

enum LinkRole {
    Confirm,
    Revert,
}

async fn find_change(
    connection: &impl sea_orm::ConnectionTrait,
    token: &Secret,
) -> Result<Option<(entity::email_change::Model, LinkRole)>, AppError> {
    use entity::email_change::Column;
    let hash = hash_token(token.expose());
    let change = entity::EmailChange::find()
        .filter(
            Column::ConfirmHash
                .eq(hash.clone())
                .or(Column::RevertHash.eq(hash.clone())),
        )
        .one(connection)
        .await?;
    Ok(change.map(|change| {
        let leg = if change.confirm_hash == hash {
            LinkRole::Confirm
        } else {
            LinkRole::Revert
        };
        (change, leg)
    }))
}

fn is_confirmable(change: &entity::email_change::Model) -> bool {
    change.confirmed_at.is_none()
        && change.ended_at.is_none()
        && change.expires_at > Timestamp::now()
}

/// A change that waits can be refused, and one that was confirmed can be undone, until it is over.
fn is_revertible(change: &entity::email_change::Model) -> bool {
    change.ended_at.is_none() && Timestamp::now().since(change.created_at) < links::REVERT_LIFE
}

/// Confirms a change or takes it back. Either way every session and every other link of the account ends: whoever
/// signed in with the other address has to show again who they are.
pub async fn follow_link(ctx: &AppContext, token: &Secret) -> Result<&'static str, AppError> {
    let mut tx = ctx.db().begin().await?;
    let (found, _) = find_change(&tx, token).await?.ok_or_else(dead_link)?;
    // Of two links that are followed at once the second waits here, and sees what the first did.
    let user = sessions::lock_user(&tx, found.user_id).await?;
    let (change, leg) = find_change(&tx, token).await?.ok_or_else(dead_link)?;
    let message = match leg {
        LinkRole::Confirm if is_confirmable(&change) => {
            confirm(&mut tx, ctx, &user, &change).await?;
            "Email address updated. Sign in to continue."
        }
        LinkRole::Revert if is_revertible(&change) => {
            take_back(&mut tx, ctx, &user, &change).await?;
            "Your email address hasn't changed. If this wasn't you, change your password."
        }
        _ => return Err(dead_link()),
    };
    sessions::end_other_sessions(&mut tx, user.id, None).await?;
    sessions::end_links(&mut tx, user.id).await?;
    tx.commit().await?;
    ctx.key_changes().send(KeyChange::Confirmed);
    Ok(message)
}

fn dead_link() -> AppError {
    AppError::Conflict("This link has expired or was already used. Request a new one.".to_owned())
}

async fn confirm(
    tx: &mut Tx,
    ctx: &AppContext,
    user: &entity::user::Model,
    change: &entity::email_change::Model,
) -> Result<(), AppError> {
    use entity::email_change::Column;
    let confirmed = entity::EmailChange::update_many()
        .col_expr(Column::ConfirmedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(change.id))
        .filter(Column::ConfirmedAt.is_null())
        .filter(Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    if confirmed.rows_affected != 1 {
        return Err(dead_link());
    }
    move_address(tx, user, &change.old_email, &change.new_email).await?;
    let message = templates::address_changed(&user.name, &change.new_email);
    tell_former_address(tx, ctx, &change.old_email, message).await
}

/// Gives the account back to the address that the change left, however often it was moved on since. Every later change
/// ends with it, so that no link of those can move it again; earlier ones stay: whom the account belonged to before
/// keeps their say.
async fn take_back(
    tx: &mut Tx,
    ctx: &AppContext,
    user: &entity::user::Model,
    change: &entity::email_change::Model,
) -> Result<(), AppError> {
    use entity::email_change::Column;
    let ended = entity::EmailChange::update_many()
        .col_expr(Column::EndedAt, Expr::value(Timestamp::now()))
        .filter(Column::UserId.eq(user.id))
        .filter(Column::CreatedAt.gte(change.created_at))
        .filter(Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    if ended.rows_affected == 0 {
        return Err(dead_link());
    }
    if change.confirmed_at.is_none() || user.email == change.old_email {
        return Ok(());
    }
    move_address(tx, user, &user.email, &change.old_email).await?;
    let message = templates::address_taken_back(&user.name, &change.old_email);
    tell_former_address(tx, ctx, &user.email, message).await
}

async fn tell_former_address(
    tx: &mut Tx,
    ctx: &AppContext,
    former: &Email,
    message: email::EmailMessage,
) -> Result<(), AppError> {
    let to = Recipient {
        email: former.clone(),
        user: None,
    };
    email::enqueue(tx, ctx, to, message, None).await?;
    Ok(())
}

/// Moves an account from one address to another, unless it has left the first one already.
async fn move_address(
    tx: &mut Tx,
    user: &entity::user::Model,
    from: &Email,
    to: &Email,
) -> Result<(), AppError> {
    use entity::user::Column;
    let taken =
        || AppError::Conflict("This email address is now used by another account.".to_owned());
    if links::is_held(tx, to, Some(user.id)).await? {
        return Err(taken());
    }
    let moved = entity::User::update_many()
        .col_expr(Column::Email, Expr::value(to.clone()))
        .col_expr(Column::EmailConfirmedAt, Expr::value(Timestamp::now()))
        .col_expr(Column::UpdatedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(user.id))
        .filter(Column::Email.eq(from.clone()))
        .exec(tx)
        .await
        .map_err(|error| {
            if is_unique_violation(&error) {
                taken()
            } else {
                error.into()
            }
        })?;
    if moved.rows_affected != 1 {
        return Err(dead_link());
    }
    let event = NewEvent::about_person(
        user.id,
        EventType::SecurityEmailChanged,
        json!({"from": from, "to": to}),
    );
    events::record(tx, Origin::person(user.id, &user.name), event).await?;
    Ok(())
}

use domain::account::{AccountView, PasswordForm, PendingEmail, SessionView};
use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::session::{LinkKind, browser_label};
use domain::{
    AppError, Email, EmailChangeId, Name, Secret, SessionId, Timestamp, Topic, UserId, fold,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, ExprTrait, JoinType, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Set,
};
use serde_json::json;

use crate::auth::key_changes::KeyChange;
use crate::auth::{RequestInfo, SignedInUser, links, sessions};
use crate::context::AppContext;
use crate::db::{Tx, entity, is_unique_violation};
use crate::email::{self, Recipient, templates};
use crate::events::{self, NewEvent, Origin};
use crate::live::Invalidation;
use crate::master_key::{Token, hash_token};

pub async fn view(ctx: &AppContext, person: &SignedInUser) -> Result<AccountView, AppError> {
    use entity::{email_change, session};
    // Each session comes with the pending email change, of which there is at most one: one query for both.
    let found = entity::Session::find()
        .join(
            JoinType::LeftJoin,
            session::Entity::belongs_to(email_change::Entity)
                .from(session::Column::UserId)
                .to(email_change::Column::UserId)
                .on_condition(|_, _| waits())
                .into(),
        )
        .select_also(entity::EmailChange)
        .filter(session::Column::UserId.eq(person.id()))
        .filter(session::Column::ExpiresAt.gt(Timestamp::now()))
        .order_by_desc(session::Column::LastSeenAt)
        .all(ctx.db().read())
        .await?;
    let pending = found.first().and_then(|(_, change)| change.clone());
    Ok(AccountView {
        name: person.name().to_owned(),
        email: person.email().clone(),
        confirmed: !person.is_asked_to_confirm(),
        pending: pending.map(|change| PendingEmail {
            email: change.new_email,
            expires_at: change.expires_at,
        }),
        ask_password: !person.is_fresh(),
        sessions: found
            .into_iter()
            .map(|(session, _)| SessionView {
                id: session.id,
                browser: browser_label(&session.user_agent),
                address: session.address,
                last_seen_at: session.last_seen_at,
                current: session.id == person.session(),
            })
            .collect(),
    })
}

/// The condition for an email change that can still be confirmed.
fn waits() -> Condition {
    use entity::email_change::Column;
    Condition::all()
        .add(Column::ConfirmedAt.is_null())
        .add(Column::EndedAt.is_null())
        .add(Column::ExpiresAt.gt(Timestamp::now()))
}

async fn pending(
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

/// Saves the name immediately. A changed email address takes effect once it is confirmed; one that is already pending
/// stays pending.
pub async fn save_profile(
    ctx: &AppContext,
    info: &RequestInfo,
    person: &SignedInUser,
    name: Name,
    email: Email,
    current_password: &Secret,
) -> Result<FormSuccess, AppError> {
    let moves = email != *person.email()
        && pending(ctx.db().read(), person.id())
            .await?
            .is_none_or(|change| change.new_email != email);
    if moves {
        sessions::confirm_identity(ctx, info, person, current_password).await?;
        ctx.limits()
            .mail(info.address, person.email().as_str(), true)?;
        ctx.limits().mail(info.address, email.as_str(), false)?;
        ctx.limits().unconfirmed(&email)?;
    }
    let mut tx = ctx.db().begin().await?;
    let user = sessions::lock_person(&tx, person).await?;
    {
        use entity::user::Column;
        entity::User::update_many()
            .col_expr(Column::Name, Expr::value(name.to_string()))
            .col_expr(Column::FoldedName, Expr::value(fold(name.as_str())))
            .col_expr(Column::UpdatedAt, Expr::value(Timestamp::now()))
            .filter(Column::Id.eq(person.id()))
            .exec(&tx)
            .await?;
    }
    if moves {
        begin_change(&mut tx, ctx, &user, name.as_str(), &email).await?;
    }
    tx.invalidate(Invalidation::user(person.id(), Topic::Account));
    tx.commit().await?;
    Ok(FormSuccess::with_message(if moves {
        format!("Changes saved. Check {email} for a confirmation link.")
    } else {
        "Changes saved".to_owned()
    }))
}

/// Writes the change down and tells both addresses. If the new one belongs to someone else, that person is told and
/// nobody learns here that it does.
async fn begin_change(
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

/// Sets a new password and ends every other session, every link, and a change of address that waits. Says how many
/// sessions ended.
pub async fn update_password(
    ctx: &AppContext,
    info: &RequestInfo,
    person: &SignedInUser,
    form: &PasswordForm,
) -> Result<u64, AppError> {
    sessions::confirm_identity(ctx, info, person, &form.current_password).await?;
    sessions::check_password_strength(
        ctx,
        "password",
        &form.password,
        person.name(),
        person.email(),
    )
    .await?;
    let hash = ctx.passwords().hash(&form.password).await?;
    let mut tx = ctx.db().begin().await?;
    sessions::lock_person(&tx, person).await?;
    sessions::set_password_hash(&mut tx, person.id(), hash).await?;
    let rotated = sessions::rotate(&mut tx, person, true).await?;
    let ended = sessions::end_other_sessions(&mut tx, person.id(), Some(person.session())).await?;
    sessions::end_links(&mut tx, person.id()).await?;
    let event = NewEvent::about_person(
        person.id(),
        EventType::SecurityPasswordChanged,
        json!({"ended": ended}),
    );
    events::record(&mut tx, person, event).await?;
    tx.commit().await?;
    rotated.adopt(person);
    Ok(ended)
}

pub async fn end_session(
    ctx: &AppContext,
    person: &SignedInUser,
    session: SessionId,
) -> Result<(), AppError> {
    use entity::session::Column;
    let mut tx = ctx.db().begin().await?;
    let ended = entity::Session::delete_many()
        .filter(Column::Id.eq(session))
        .filter(Column::UserId.eq(person.id()))
        .exec(&tx)
        .await?;
    if ended.rows_affected == 0 {
        return Err(AppError::NotFound);
    }
    record_ended(&mut tx, person, 1).await?;
    tx.commit().await?;
    Ok(())
}

pub async fn end_others(ctx: &AppContext, person: &SignedInUser) -> Result<u64, AppError> {
    let mut tx = ctx.db().begin().await?;
    let ended = sessions::end_other_sessions(&mut tx, person.id(), Some(person.session())).await?;
    if ended > 0 {
        record_ended(&mut tx, person, ended).await?;
    }
    tx.commit().await?;
    Ok(ended)
}

async fn record_ended(tx: &mut Tx, person: &SignedInUser, count: u64) -> Result<(), AppError> {
    let event = NewEvent::about_person(
        person.id(),
        EventType::SecuritySessionsEnded,
        json!({"count": count}),
    );
    events::record(tx, person, event).await?;
    Ok(())
}

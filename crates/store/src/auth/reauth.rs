//! Re-authentication: the user enters the password again, and the session gets a new token. The old token becomes
//! invalid.
//!
//! The old token stops working the moment a new one replaces it. Requests already in progress with it finish as they
//! began, except those that check again inside their transaction ([`lock_person`]). The browser's other
//! tabs share its cookies: a tab that just sent the old token is refused once and retries with the new one
//! (`post` in `app/src/rpc.rs`).

use domain::{AppError, Secret, Timestamp, Topic, UserId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect};

use super::actor::SignedInUser;
use super::request::RequestInfo;
use super::sensitive::{CURRENT_PASSWORD, ask};
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::live::Invalidation;
use crate::master_key::Token;

/// A token that replaces another once its transaction is committed.
#[must_use = "the browser has to be told"]
pub struct Rotated(Token);

impl Rotated {
    /// Call it after the commit: from now on the session uses the new token.
    pub fn adopt(self, person: &SignedInUser) {
        person.presented().adopt(&self.0);
    }
}

/// Gives the session a new token. `authenticated`: the password was just entered.
pub async fn rotate(
    tx: &mut Tx,
    person: &SignedInUser,
    authenticated: bool,
) -> Result<Rotated, AppError> {
    use entity::session::Column;
    let token = Token::generate();
    let mut rotated = entity::Session::update_many()
        .col_expr(Column::TokenHash, Expr::value(token.hash()))
        .filter(Column::Id.eq(person.session()))
        .filter(Column::TokenHash.eq(person.presented().token_hash()));
    if authenticated {
        rotated = rotated.col_expr(Column::AuthenticatedAt, Expr::value(Timestamp::now()));
    }
    if rotated.exec(tx).await?.rows_affected != 1 {
        return Err(AppError::Unauthenticated);
    }
    // Streams opened with the old token end.
    tx.invalidate(Invalidation::user(person.id(), Topic::Account));
    Ok(Rotated(token))
}

/// Gives the session a new token because its permissions changed.
pub async fn renew(ctx: &AppContext, person: &SignedInUser) -> Result<(), AppError> {
    let mut tx = ctx.db().begin().await?;
    match rotate(&mut tx, person, false).await {
        Ok(rotated) => {
            tx.commit().await?;
            rotated.adopt(person);
            Ok(())
        }
        // It has ended or already has another token.
        Err(AppError::Unauthenticated) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A sensitive change needs a fresh sign-in, or the current password in the same request. A correct password makes this
/// session fresh and gives it a new token.
pub async fn confirm_identity(
    ctx: &AppContext,
    info: &RequestInfo,
    person: &SignedInUser,
    current_password: &Secret,
) -> Result<(), AppError> {
    if let Some(outcome) = person.presented().outcome() {
        return outcome;
    }
    if current_password.is_empty() {
        return if person.is_fresh() {
            Ok(())
        } else {
            Err(ask())
        };
    }
    reauthenticate(ctx, info, person, current_password).await?;
    person.presented().set_outcome(Ok(()));
    Ok(())
}

/// Checks the password of a request before it is known whether it is needed. Code that needs it reads the result.
pub(super) async fn try_password(
    ctx: &AppContext,
    info: &RequestInfo,
    person: &SignedInUser,
    password: &Secret,
) {
    if let Err(error) = confirm_identity(ctx, info, person, password).await {
        person.presented().set_outcome(Err(error));
    }
}

async fn reauthenticate(
    ctx: &AppContext,
    info: &RequestInfo,
    person: &SignedInUser,
    password: &Secret,
) -> Result<(), AppError> {
    let wrong = || AppError::field(CURRENT_PASSWORD, "Incorrect password");
    ctx.limits()
        .sign_in(info.address, person.email().as_str(), true)?;
    ctx.limits().reauthenticate(person.id(), person.session())?;
    let hash = entity::User::find_by_id(person.id())
        .one(ctx.db().read())
        .await?
        .map(|user| user.password_hash);
    if !ctx.passwords().verify(password, hash.as_deref()).await? {
        return Err(wrong());
    }
    let mut tx = ctx.db().begin().await?;
    // The verified facts must still be true.
    let now = lock_person(&tx, person).await?;
    if Some(now.password_hash) != hash {
        return Err(wrong());
    }
    let rotated = rotate(&mut tx, person, true).await?;
    tx.commit().await?;
    rotated.adopt(person);
    Ok(())
}

/// Locks the row of a user who is about to change how they sign in, and refuses if their session ended or got another
/// token since the request began.
pub async fn lock_person(tx: &Tx, person: &SignedInUser) -> Result<entity::user::Model, AppError> {
    let user = lock_user(tx, person.id()).await?;
    let here = entity::Session::find_by_id(person.session())
        .filter(entity::session::Column::TokenHash.eq(person.presented().token_hash()))
        .count(tx)
        .await?;
    if here == 0 {
        return Err(AppError::Unauthenticated);
    }
    Ok(user)
}

/// A user's row, locked until the transaction ends, so that changes to how they sign in happen one after another. On
/// SQLite the write transaction itself ensures this.
pub async fn lock_user(tx: &Tx, user: UserId) -> Result<entity::user::Model, AppError> {
    entity::User::find_by_id(user)
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)
}

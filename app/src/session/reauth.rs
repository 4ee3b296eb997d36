//! Giving the password again, and what follows: the session gets another token, and whoever holds the old one holds
//! nothing.
//!
//! A token dies at once when another takes its place; there is no time in which both work. What was under way with it
//! ends as it began, but for what looks again inside its transaction ([`super::store::lock_person`]). The browser's other
//! tabs share its cookies: one that asked with the old one just then is refused once and asks again with the new one
//! (`crate::rpc::post`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::store::lock_person;
use super::{RequestInfo, SignedInUser};
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::domain::{AppError, Secret, Timestamp};
use crate::live::{Invalidation, Topic};
use crate::master_key::Token;

/// The field in which the current password is asked for.
pub const CURRENT_PASSWORD: &str = "current_password";

/// The session of a request: the token it came with, and what this request made of it. Shared by every proof of the
/// request.
#[derive(Clone, Debug)]
pub(super) struct Presented(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    token_hash: Vec<u8>,
    /// The token that has taken its place, for the browser.
    cookie: Option<Secret>,
    /// What came of the password that this request gave.
    outcome: Option<Result<(), AppError>>,
}

impl Presented {
    pub(super) fn new(token_hash: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            token_hash,
            cookie: None,
            outcome: None,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn token_hash(&self) -> Vec<u8> {
        self.inner().token_hash.clone()
    }

    pub(super) fn cookie(&self) -> Option<Secret> {
        self.inner().cookie.clone()
    }

    /// What came of the password that this request gave, if it gave one.
    pub(super) fn outcome(&self) -> Option<Result<(), AppError>> {
        self.inner().outcome.clone()
    }

    fn set_outcome(&self, outcome: Result<(), AppError>) {
        self.inner().outcome = Some(outcome);
    }
}

/// A token that takes the place of another once its transaction is committed.
#[must_use = "the browser has to be told"]
pub struct Rotated(Token);

impl Rotated {
    /// To be called after the commit: from now on the session goes by the new token.
    pub fn adopt(self, person: &SignedInUser) {
        let mut inner = person.presented().inner();
        inner.token_hash = self.0.hash();
        inner.cookie = Some(self.0.plain().clone());
    }
}

/// Gives the session another token. `authenticated`: the password was just given in it.
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
    // Streams that were opened with the old token end.
    tx.invalidate(Invalidation::user(person.id(), Topic::Account));
    Ok(Rotated(token))
}

/// Gives the session another token because what it may do has changed.
pub async fn renew(ctx: &AppContext, person: &SignedInUser) -> Result<(), AppError> {
    let mut tx = ctx.db().begin().await?;
    match rotate(&mut tx, person, false).await {
        Ok(rotated) => {
            tx.commit().await?;
            rotated.adopt(person);
            Ok(())
        }
        // It has ended, or has got another one by now.
        Err(AppError::Unauthenticated) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What whoever did not give their password is told, at its field.
pub fn ask() -> AppError {
    AppError::field(CURRENT_PASSWORD, "Enter your current password to continue")
}

/// A sensitive change wants a fresh sign-in, or the current password given with it. Given rightly, it makes this session
/// fresh and gives it another token.
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

/// Tries the password that a request gives, before it is known whether anything wants it. Whatever does is told what came
/// of it.
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
    // What was verified must still be so.
    let now = lock_person(&tx, person).await?;
    if Some(now.password_hash) != hash {
        return Err(wrong());
    }
    let rotated = rotate(&mut tx, person, true).await?;
    tx.commit().await?;
    rotated.adopt(person);
    Ok(())
}

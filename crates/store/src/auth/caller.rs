//! The caller of one request.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use domain::session::WorkspaceMembership;
use domain::{AppError, Secret};
use tokio::sync::{Mutex, OnceCell};

use super::actor::{Actor, SessionContext, SignedInUser};
use super::presented::Presented;
use super::reauth;
use super::request::RequestInfo;
use crate::context::AppContext;
use crate::master_key::hash_token;

/// The caller of this request. Session and memberships are looked up when first needed and cached for the request only,
/// because a page asks several times; a removal takes effect with the next request.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ctx: AppContext,
    info: RequestInfo,
    /// The session cookie of the request, and its replacement, if any.
    presented: Option<Presented>,
    /// The current password, if the request carries it.
    password: OnceLock<Secret>,
    person: OnceCell<Option<SignedInUser>>,
    /// The same user with their memberships, once a workspace was requested.
    standing: OnceCell<Option<SessionContext>>,
    actors: Mutex<HashMap<String, Actor>>,
}

impl Caller {
    /// `cookie`: the value of the session cookie, if there is one.
    pub fn new(ctx: AppContext, info: RequestInfo, cookie: Option<String>) -> Self {
        Self(Arc::new(Inner {
            ctx,
            info,
            presented: cookie.map(|cookie| Presented::new(hash_token(&cookie))),
            password: OnceLock::new(),
            person: OnceCell::new(),
            standing: OnceCell::new(),
            actors: Mutex::default(),
        }))
    }

    pub fn ctx(&self) -> &AppContext {
        &self.0.ctx
    }

    pub fn info(&self) -> &RequestInfo {
        &self.0.info
    }

    /// The signed-in user, if there is one.
    pub async fn visitor(&self) -> Result<Option<SignedInUser>, AppError> {
        if let Some(standing) = self.0.standing.get() {
            return Ok(standing.as_ref().map(SessionContext::person).cloned());
        }
        let found = self.0.person.get_or_try_init(|| async {
            let Some(presented) = &self.0.presented else {
                return Ok(None);
            };
            let person = SignedInUser::from_presented(&self.0.ctx, presented).await?;
            if let Some(person) = &person {
                self.try_password(person).await;
            }
            Ok::<_, AppError>(person)
        });
        Ok(found.await?.clone())
    }

    /// Sets the current password of the request. Call it before anything asks who is signed in.
    pub fn give_password(&self, password: Secret) {
        // The first one given counts.
        let _ = self.0.password.set(password);
    }

    /// Checks the password of the request, once. Code that needs the result reads it ([`SignedInUser::require_fresh`]).
    /// If nothing sensitive happens, the result is unused.
    async fn try_password(&self, person: &SignedInUser) {
        if let Some(password) = self.0.password.get() {
            reauth::try_password(&self.0.ctx, &self.0.info, person, password).await;
        }
    }

    /// The token that replaced the one in the request; it must be sent to the browser.
    pub fn new_cookie(&self) -> Option<Secret> {
        self.0.presented.as_ref()?.cookie()
    }

    /// The signed-in user.
    pub async fn person(&self) -> Result<SignedInUser, AppError> {
        self.visitor().await?.ok_or(AppError::Unauthenticated)
    }

    async fn standing(&self) -> Result<&SessionContext, AppError> {
        let found = self.0.standing.get_or_try_init(|| async {
            let Some(presented) = &self.0.presented else {
                return Ok(None);
            };
            let standing = SessionContext::from_presented(&self.0.ctx, presented).await?;
            if let Some(standing) = &standing {
                self.try_password(standing.person()).await;
            }
            Ok::<_, AppError>(standing)
        });
        found.await?.as_ref().ok_or(AppError::Unauthenticated)
    }

    /// The signed-in user's workspaces, most recently used first.
    pub async fn places(&self) -> Result<Vec<WorkspaceMembership>, AppError> {
        Ok(self.standing().await?.places().collect())
    }

    /// The signed-in user as a member of the workspace that `reference` names (its id or its slug).
    pub async fn actor(&self, reference: &str) -> Result<Actor, AppError> {
        let standing = self.standing().await?;
        let mut actors = self.0.actors.lock().await;
        if let Some(actor) = actors.get(reference) {
            return Ok(actor.clone());
        }
        let actor = match standing.at(reference) {
            Some(actor) => actor,
            // By a slug that the workspace gave up, or not at all.
            None => Actor::find(self.0.ctx.db().read(), standing.person(), reference).await?,
        };
        let shares = self.0.ctx.db().shares();
        shares.switch_to(actor.workspace());
        actors.insert(reference.to_owned(), actor.clone());
        Ok(actor)
    }
}

/// The user found during a request, to record when they were last seen.
#[derive(Clone, Debug)]
pub struct Seen {
    pub person: SignedInUser,
    pub memberships: Vec<domain::MembershipId>,
}

impl Caller {
    /// The user of this request, if it looked for one.
    pub async fn seen(&self) -> Option<Seen> {
        let standing = self.0.standing.get().and_then(Option::as_ref);
        let person = match standing {
            Some(standing) => standing.person().clone(),
            None => self.0.person.get()?.clone()?,
        };
        let memberships = self
            .0
            .actors
            .lock()
            .await
            .values()
            .map(Actor::membership)
            .collect();
        Some(Seen {
            person,
            memberships,
        })
    }

    /// Looks up the session again instead of using the cached one, for a stream that outlives the request.
    pub async fn still_here(&self) -> Result<SignedInUser, AppError> {
        let Some(presented) = &self.0.presented else {
            return Err(AppError::Unauthenticated);
        };
        SignedInUser::from_presented(&self.0.ctx, presented)
            .await?
            .ok_or(AppError::Unauthenticated)
    }
}

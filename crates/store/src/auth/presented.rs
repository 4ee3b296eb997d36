//! The session token that a request carried, and its replacement.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{AppError, Secret};

use crate::master_key::Token;

/// The session of a request: the token it carried, and what this request made of it. All proofs of the request share
/// it.
#[derive(Clone, Debug)]
pub(super) struct Presented(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    token_hash: Vec<u8>,
    /// The token that replaced it, for the browser.
    cookie: Option<Secret>,
    /// The result of checking the password in this request.
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

    /// The result of checking the password in this request, if there was one.
    pub(super) fn outcome(&self) -> Option<Result<(), AppError>> {
        self.inner().outcome.clone()
    }

    pub(super) fn set_outcome(&self, outcome: Result<(), AppError>) {
        self.inner().outcome = Some(outcome);
    }

    /// The session uses this token from now on.
    pub(super) fn adopt(&self, token: &Token) {
        let mut inner = self.inner();
        inner.token_hash = token.hash();
        inner.cookie = Some(token.plain().clone());
    }
}

//! The scope that a handler requires, as its first argument: `caller: Authorized<ContactsRead>`. It is checked before the
//! body is read.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::catalog::Scope;
use store::auth::{ApiKeyPrincipal, Principal};

use super::auth::ClientIp;
use super::problem::Problem;
use crate::state::AppState;

/// A scope, as a type.
pub trait RequiredScope {
    const SCOPE: Scope;
}

macro_rules! required_scopes {
    ($($scope:ident),* $(,)?) => {$(
        pub struct $scope;

        impl RequiredScope for $scope {
            const SCOPE: Scope = Scope::$scope;
        }
    )*};
}

required_scopes!(
    ContactsRead,
    ContactsWrite,
    CreditsRead,
    CreditsWrite,
    EventsWrite,
    KeysVerify,
    MembersRead,
    WebhooksWrite
);

/// A client whose key has the scope.
pub struct Authorized<N: RequiredScope> {
    pub principal: Principal,
    need: PhantomData<N>,
}

impl<N: RequiredScope> FromRequestParts<AppState> for Authorized<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let ApiKeyAuth { key, address } = ApiKeyAuth::from_request_parts(parts, state).await?;
        if !key.has(N::SCOPE) {
            return Err(Problem::scope_missing(N::SCOPE));
        }
        state.key_usage.note_use(&key, Some(N::SCOPE), address.0);
        Ok(Self {
            principal: key.into(),
            need: PhantomData,
        })
    }
}

/// A client with any valid key, and its IP address.
pub struct ApiKeyAuth {
    pub key: ApiKeyPrincipal,
    pub address: ClientIp,
}

impl FromRequestParts<AppState> for ApiKeyAuth {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let key = parts.extensions.get::<ApiKeyPrincipal>().cloned();
        let address = parts.extensions.get::<ClientIp>().copied();
        // The `auth` layer sets both; a route outside it refuses everybody.
        let (key, address) = key.zip(address).ok_or_else(Problem::no_key)?;
        Ok(Self { key, address })
    }
}

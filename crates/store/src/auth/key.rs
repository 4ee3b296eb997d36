//! The third proof besides [`SignedInUser`](super::SignedInUser) and [`Actor`]: a request with a valid API key. Also
//! the caller of a store function that both people and programs use.

use std::sync::Arc;

use domain::catalog::{Mode, Scope};
use domain::{ApiKeyId, AppError, Permission, Slug, Timestamp, WorkspaceId};

use super::actor::Actor;
use super::sensitive::Sensitive;
use crate::events::Origin;

/// An API key that was presented and is valid: not revoked, retired or expired, and used from an allowed IP address.
#[derive(Clone, Debug)]
pub struct ApiKeyPrincipal(Arc<ApiKeyInfo>);

/// What is known about a key.
#[derive(Clone, Debug)]
pub struct ApiKeyInfo {
    pub id: ApiKeyId,
    pub name: String,
    pub mode: Mode,
    pub scopes: Vec<Scope>,
    pub workspace: WorkspaceId,
    pub workspace_name: String,
    pub workspace_slug: Slug,
    /// When the workspace freezes.
    pub freezes_at: Option<Timestamp>,
    /// Whether someone who manages the workspace's keys has confirmed their email address. Without that, the key may
    /// belong to a stranger who signed up with another person's email address.
    pub confirmed: bool,
}

impl ApiKeyPrincipal {
    /// Only the check of a key creates one: `auth::api_keys`.
    pub(crate) fn new(facts: Arc<ApiKeyInfo>) -> Self {
        Self(facts)
    }

    pub fn facts(&self) -> &ApiKeyInfo {
        &self.0
    }

    pub fn has(&self, scope: Scope) -> bool {
        self.0.scopes.contains(&scope)
    }
}

/// The caller: a person in a workspace, or a program with one of its API keys.
#[derive(Clone, Debug)]
pub enum Principal {
    Person(Box<Actor>),
    Key(ApiKeyPrincipal),
}

impl Principal {
    pub fn workspace(&self) -> WorkspaceId {
        match self {
            Self::Person(actor) => actor.workspace(),
            Self::Key(key) => key.facts().workspace,
        }
    }

    /// The mode whose data they see and change. People work in live mode.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Person(_) => Mode::Live,
            Self::Key(key) => key.facts().mode,
        }
    }

    pub fn may(&self, permission: Permission) -> bool {
        match self {
            Self::Person(actor) => actor.may(permission),
            Self::Key(key) => key
                .facts()
                .scopes
                .iter()
                .any(|scope| scope.grants(permission)),
        }
    }

    /// Whether only billing can be changed in their workspace.
    pub fn is_frozen(&self) -> bool {
        match self {
            Self::Person(actor) => actor.is_frozen(),
            Self::Key(key) => {
                let freezes_at = key.facts().freezes_at;
                freezes_at.is_some_and(|at| at <= Timestamp::now())
            }
        }
    }

    /// The first line of every store function. A frozen workspace refuses changes.
    pub fn require(&self, permission: Permission) -> Result<(), AppError> {
        self.require_read(permission)?;
        if permission.is_lost_when_frozen() && self.is_frozen() {
            return Err(AppError::Frozen);
        }
        Ok(())
    }

    /// The first line of a store function for reads that require a permission.
    pub fn require_read(&self, permission: Permission) -> Result<(), AppError> {
        if self.may(permission) {
            Ok(())
        } else {
            Err(AppError::Forbidden { permission })
        }
    }

    /// Refuses if the email address is not confirmed: the person's own, or that of someone who manages the key.
    pub fn require_confirmed(&self) -> Result<(), AppError> {
        match self {
            Self::Person(actor) => actor.person().require_confirmed(),
            Self::Key(key) if key.facts().confirmed => Ok(()),
            Self::Key(_) => Err(AppError::Unconfirmed),
        }
    }

    /// Refuses if the sign-in is not fresh. A program has no sign-in: its key exists for what it does.
    pub fn require_fresh(&self, operation: Sensitive) -> Result<(), AppError> {
        match self {
            Self::Person(actor) => actor.person().require_fresh(operation),
            Self::Key(_) => Ok(()),
        }
    }

    /// The name shown in the log and on pages.
    pub fn name(&self) -> &str {
        match self {
            Self::Person(actor) => actor.person().name(),
            Self::Key(key) => &key.facts().name,
        }
    }
}

impl From<Actor> for Principal {
    fn from(actor: Actor) -> Self {
        Self::Person(Box::new(actor))
    }
}

impl From<ApiKeyPrincipal> for Principal {
    fn from(key: ApiKeyPrincipal) -> Self {
        Self::Key(key)
    }
}

impl From<&Principal> for Origin {
    fn from(principal: &Principal) -> Self {
        match principal {
            Principal::Person(actor) => actor.as_ref().into(),
            Principal::Key(key) => Self::key(key.facts().id, &key.facts().name),
        }
    }
}

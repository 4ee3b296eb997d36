//! The third proof beside [`Person`](super::Person) and [`Actor`]: a request that carries a valid API key. And who a
//! store that people and programs share is asked by.

use std::sync::Arc;

use super::{Actor, Sensitive};
use crate::catalog::{Mode, Scope};
use crate::domain::{ApiKeyId, AppError, Permission, Slug, Timestamp, WorkspaceId};
use crate::events::Origin;

/// A key that was shown, found, and holds: not revoked, not retired, not expired, from where it may be used.
#[derive(Clone, Debug)]
pub struct ApiKeyPrincipal(Arc<ApiKeyInfo>);

/// What is known of a key.
#[derive(Clone, Debug)]
pub struct ApiKeyInfo {
    pub id: ApiKeyId,
    pub name: String,
    pub mode: Mode,
    pub scopes: Vec<Scope>,
    pub workspace: WorkspaceId,
    pub workspace_name: String,
    pub workspace_slug: Slug,
    /// From when on the workspace is frozen.
    pub freezes_at: Option<Timestamp>,
    /// Whether somebody who manages the workspace's keys has confirmed their email address. Without, a key of theirs
    /// may be a stranger's who signed up with another's address.
    pub confirmed: bool,
}

impl ApiKeyPrincipal {
    /// Only the check of a key makes one: `settings::api_keys::store`.
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

/// Who asks: a person in a workspace, or a program with a key of one.
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

    /// Which of the two worlds they see and change. People see the real one.
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

    /// Whether nothing but billing can be changed in their workspace.
    pub fn is_frozen(&self) -> bool {
        match self {
            Self::Person(actor) => actor.is_frozen(),
            Self::Key(key) => {
                let freezes_at = key.facts().freezes_at;
                freezes_at.is_some_and(|at| at <= Timestamp::now())
            }
        }
    }

    /// The first line of every store function. Where the workspace is frozen, what changes it is refused.
    pub fn require(&self, permission: Permission) -> Result<(), AppError> {
        self.require_read(permission)?;
        if permission.is_lost_when_frozen() && self.is_frozen() {
            return Err(AppError::Frozen);
        }
        Ok(())
    }

    /// The first line of a store function that only looks, at what may be seen by those who may change it.
    pub fn require_read(&self, permission: Permission) -> Result<(), AppError> {
        if self.may(permission) {
            Ok(())
        } else {
            Err(AppError::Forbidden { permission })
        }
    }

    /// Refuses what takes a confirmed email address: of the person, or of somebody who answers for the key.
    pub fn require_confirmed(&self) -> Result<(), AppError> {
        match self {
            Self::Person(actor) => actor.person().require_confirmed(),
            Self::Key(key) if key.facts().confirmed => Ok(()),
            Self::Key(_) => Err(AppError::Unconfirmed),
        }
    }

    /// Refuses what takes a fresh sign-in. A program has none: its key is given for what it does.
    pub fn require_fresh(&self, operation: Sensitive) -> Result<(), AppError> {
        match self {
            Self::Person(actor) => actor.person().require_fresh(operation),
            Self::Key(_) => Ok(()),
        }
    }

    /// How the log and the pages call them.
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

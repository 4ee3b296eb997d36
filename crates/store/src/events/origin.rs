//! Who caused an event.

use domain::{ApiKeyId, UserId};

/// The name that the server uses for its own actions.
pub const SYSTEM: &str = "Wheelhouse";

/// The origin of an event: its actor, as the log stores it.
#[derive(Clone, Debug)]
pub struct Origin {
    kind: &'static str,
    id: Option<uuid::Uuid>,
    name: String,
}

impl Origin {
    pub fn system() -> Self {
        Self {
            kind: "system",
            id: None,
            name: SYSTEM.to_owned(),
        }
    }

    /// A program, by its API key.
    pub fn key(id: ApiKeyId, name: &str) -> Self {
        Self {
            kind: "key",
            id: Some(id.uuid()),
            name: name.to_owned(),
        }
    }

    /// Kind, id and name, for logs of other modules.
    pub(crate) fn parts(&self) -> (&'static str, Option<uuid::Uuid>, &str) {
        (self.kind, self.id, &self.name)
    }

    /// A person by id, for changes made without a session: sign-up, a link from an email.
    pub fn person(id: UserId, name: &str) -> Self {
        Self {
            kind: "person",
            id: Some(id.uuid()),
            name: name.to_owned(),
        }
    }
}

//! Forms: what the server answers to one, and what waits for the next page when there is no script.

#[cfg(feature = "ssr")]
pub mod flashes;

use serde::{Deserialize, Serialize};

use crate::domain::{AppError, EventId, Secret, Timestamp};

/// That a change was made: what to say of it, and how to take it back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FormSuccess {
    pub message: String,
    pub undo: Option<Undo>,
    /// Notifications that were marked as read at once, and can be marked as unread again.
    pub undo_read: Option<UndoRead>,
    /// What became of each, where several things were asked for at once.
    pub results: Vec<ItemResult>,
    /// Something that is shown this once and never again, such as a new API key.
    pub secret: Option<Secret>,
    /// Nothing was saved yet: what was typed stays where it is.
    pub keep: bool,
}

/// A change that can be taken back for some seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// The address of the server function that takes it back; it wants a workspace and an event.
    pub action: String,
    pub workspace: String,
    pub event: EventId,
}

/// Notifications of one person that were marked as read at one moment. Read marks are no change of the workspace and
/// have no event: the moment says which they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoRead {
    pub workspace: String,
    pub read_at: Timestamp,
}

/// One of several results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemResult {
    pub subject: String,
    pub message: String,
    pub good: bool,
}

impl FormSuccess {
    pub fn with_message(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    #[must_use]
    pub fn with_undo(mut self, action: &str, workspace: impl ToString, event: EventId) -> Self {
        self.undo = Some(Undo {
            action: action.to_owned(),
            workspace: workspace.to_string(),
            event,
        });
        self
    }
}

/// What a form got for an answer.
pub type FormOutcome = Result<FormSuccess, AppError>;

/// The answer to a form that was posted without script, kept for the page that follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    /// Which form it was: the address it posts to, and the key that tells it from its like on the same page.
    pub action: String,
    pub key: String,
    /// What was typed, without secrets: names as posted.
    pub typed: Vec<(String, String)>,
    pub outcome: FormOutcome,
}

impl Flash {
    pub fn is_for(&self, action: &str, key: &str) -> bool {
        self.action == action && self.key == key
    }

    /// What was typed into a field.
    pub fn typed(&self, name: &str) -> Option<&str> {
        self.typed
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }
}

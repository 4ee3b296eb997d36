//! Forms: the server's response to one, and what is kept for the next page without script.

use serde::{Deserialize, Serialize};

use crate::{AppError, EventId, Secret, Timestamp};

/// A change that was made: its message, and how to undo it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FormSuccess {
    pub message: String,
    pub undo: Option<Undo>,
    /// Notifications that were marked as read together and can be marked as unread.
    pub undo_read: Option<UndoRead>,
    /// The result of each part, if several things were requested together.
    pub results: Vec<ItemResult>,
    /// A secret that is shown only once, such as a new API key.
    pub secret: Option<Secret>,
    /// Nothing was saved yet: the form keeps what was typed.
    pub keep: bool,
}

/// A change that can be undone for some seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// The path of the server function that undoes it; it takes a workspace and an event.
    pub action: String,
    pub workspace: String,
    pub event: EventId,
}

/// Notifications of one person that were marked as read at the same time. Read marks do not change the workspace and
/// have no event, so the time identifies them.
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

/// The response to a form.
pub type FormOutcome = Result<FormSuccess, AppError>;

/// The response to a form that was posted without script, kept for the next page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    /// Which form it was: the path it posts to, and the key that distinguishes it from others of its kind on the page.
    pub action: String,
    pub key: String,
    /// What was typed, without secrets; the names are as posted.
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

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, broadcast};

use super::Topic;
use crate::domain::{UserId, WorkspaceId};

/// How many hints a slow listener may fall behind before it is told to look at everything.
const BACKLOG: usize = 1024;

/// Whose open pages a hint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    User(UserId),
    Workspace(WorkspaceId),
}

/// "Look again."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hint {
    pub audience: Audience,
    pub topic: Topic,
}

impl Hint {
    pub fn user(user: UserId, topic: Topic) -> Self {
        Self {
            audience: Audience::User(user),
            topic,
        }
    }

    pub fn workspace(workspace: WorkspaceId, topic: Topic) -> Self {
        Self {
            audience: Audience::Workspace(workspace),
            topic,
        }
    }
}

/// Where hints meet listeners.
#[derive(Clone, Debug)]
pub struct Hub {
    listeners: broadcast::Sender<Hint>,
    outgoing: broadcast::Sender<Hint>,
    work: Arc<Notify>,
}

impl Hub {
    #[expect(
        clippy::new_without_default,
        reason = "a hub is made once, with the database, on purpose"
    )]
    pub fn new() -> Self {
        Self {
            listeners: broadcast::Sender::new(BACKLOG),
            outgoing: broadcast::Sender::new(BACKLOG),
            work: Arc::new(Notify::new()),
        }
    }

    /// Sends what a commit of this process caused, here and to other processes, and wakes the workers.
    pub(crate) fn send_all(&self, hints: Vec<Hint>) {
        for hint in hints {
            // An error only says that nobody listens.
            let _ = self.listeners.send(hint);
            let _ = self.outgoing.send(hint);
        }
        self.work.notify_waiters();
    }

    /// Passes on what another process sent.
    pub fn receive(&self, hint: Hint) {
        let _ = self.listeners.send(hint);
    }

    pub fn listen(&self) -> broadcast::Receiver<Hint> {
        self.listeners.subscribe()
    }

    /// The hints of this process, for whoever carries them to others.
    pub fn outgoing(&self) -> broadcast::Receiver<Hint> {
        self.outgoing.subscribe()
    }

    /// Resolves at the next commit: the workers' cue that something may wait for them.
    pub async fn committed(&self) {
        self.work.notified().await;
    }
}

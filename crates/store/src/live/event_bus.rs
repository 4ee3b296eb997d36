use domain::{Topic, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};

/// How many invalidations a slow listener may fall behind before it must reload everything.
const BACKLOG: usize = 1024;

/// Whose open pages an invalidation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    User(UserId),
    Workspace(WorkspaceId),
}

/// Asks a page to reload data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Invalidation {
    pub audience: Audience,
    pub topic: Topic,
}

impl Invalidation {
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

/// What a listener receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    Invalidation(Invalidation),
    /// Invalidations were lost for unknown audiences: every page reloads everything.
    Everything,
}

/// Distributes invalidations to listeners.
#[derive(Clone, Debug)]
pub struct EventBus {
    listeners: broadcast::Sender<Received>,
    outgoing: broadcast::Sender<Invalidation>,
    commits: watch::Sender<u64>,
}

impl EventBus {
    #[expect(
        clippy::new_without_default,
        reason = "a event_bus is made once, with the database, on purpose"
    )]
    pub fn new() -> Self {
        Self {
            listeners: broadcast::Sender::new(BACKLOG),
            outgoing: broadcast::Sender::new(BACKLOG),
            commits: watch::Sender::new(0),
        }
    }

    /// Sends the invalidations of a commit, here and to other processes, and wakes the workers.
    pub(crate) fn send_all(&self, invalidations: Vec<Invalidation>) {
        for invalidation in invalidations {
            self.send(invalidation);
        }
        self.commits.send_modify(|commits| *commits += 1);
    }

    /// Sends an invalidation, here and to other processes.
    pub(crate) fn send(&self, invalidation: Invalidation) {
        // An error only means that nobody listens.
        let _ = self.listeners.send(Received::Invalidation(invalidation));
        let _ = self.outgoing.send(invalidation);
    }

    /// Passes on an invalidation from another process.
    pub fn receive(&self, invalidation: Invalidation) {
        let _ = self.listeners.send(Received::Invalidation(invalidation));
    }

    /// Makes every page reload everything, because invalidations from another process may have been lost.
    pub fn receive_everything(&self) {
        let _ = self.listeners.send(Received::Everything);
    }

    pub fn listen(&self) -> broadcast::Receiver<Received> {
        self.listeners.subscribe()
    }

    /// The invalidations of this process, for the task that sends them to other processes.
    pub fn outgoing(&self) -> broadcast::Receiver<Invalidation> {
        self.outgoing.subscribe()
    }

    /// The number of commits, which signals possible work to the workers. A worker marks the number as seen before it
    /// looks for work, so that a commit during the query changes the number again and is not missed.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_commit_between_the_look_and_the_wait_is_not_missed() {
        let event_bus = EventBus::new();
        let mut commits = event_bus.commits();
        commits.mark_unchanged();
        // The worker finds nothing, someone commits, and then the worker waits.
        event_bus.send_all(Vec::new());
        tokio::time::timeout(Duration::from_millis(50), commits.changed())
            .await
            .expect("the worker looks again at once")
            .unwrap();
        assert!(!commits.has_changed().unwrap(), "once a commit");
    }
}

//! Changes to API keys on this node, for the cache of keys. Other nodes read a key again after a second or two.

use domain::{ApiKeyId, WorkspaceId};
use tokio::sync::broadcast::{Receiver, Sender};

/// How many changes are kept for a cache. If there are more, it is cleared.
pub(crate) const KEPT: usize = 1024;

/// A change after which cached keys must be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChange {
    Key(ApiKeyId),
    /// Its workspace was changed or deleted.
    Workspace(WorkspaceId),
    /// Someone confirmed their email address, so keys that need it may work now.
    Confirmed,
}

/// Sends changes to the caches of this node.
#[derive(Clone, Debug)]
pub struct KeyChanges(Sender<KeyChange>);

impl Default for KeyChanges {
    fn default() -> Self {
        Self(Sender::new(KEPT))
    }
}

impl KeyChanges {
    /// Call it after the commit.
    pub fn send(&self, change: KeyChange) {
        // Without a cache there is nothing to forget.
        let _ = self.0.send(change);
    }

    pub fn subscribe(&self) -> Receiver<KeyChange> {
        self.0.subscribe()
    }
}

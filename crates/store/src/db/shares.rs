//! Limits how many queries of one workspace run at the same time. The limit is lower than the number of read
//! connections, so that other workspaces always have one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::WorkspaceId;
use tokio::sync::Semaphore;

tokio::task_local! {
    static SHARE: RefCell<Arc<Semaphore>>;
}

/// How many shares are kept before unused ones are removed.
const MAX_IDLE: usize = 1_000;

/// Whose queries are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ShareHolder {
    Workspace(WorkspaceId),
    /// A signed-in user, by the hash of their session token, until the request's workspace is known.
    Session(Vec<u8>),
}

/// The shares of all current readers.
#[derive(Debug)]
pub struct Shares {
    queries: usize,
    shares: Mutex<HashMap<ShareHolder, Arc<Semaphore>>>,
}

impl Shares {
    /// Each share is half of the read connections.
    pub fn of(connections: u32) -> Self {
        Self {
            queries: (connections as usize / 2).max(1),
            shares: Mutex::default(),
        }
    }

    fn share(&self, holder: ShareHolder) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if shares.len() >= MAX_IDLE && !shares.contains_key(&holder) {
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let share = shares
            .entry(holder)
            .or_insert_with(|| Arc::new(Semaphore::new(self.queries)));
        share.clone()
    }

    /// Runs a request. The queries that this task makes for the request use at most this share.
    pub async fn run<F: Future>(&self, holder: ShareHolder, request: F) -> F::Output {
        let share = RefCell::new(self.share(holder));
        SHARE.scope(share, request).await
    }

    /// From now on, counts the queries of this task's request toward this workspace.
    pub fn switch_to(&self, workspace: WorkspaceId) {
        let holder = ShareHolder::Workspace(workspace);
        // Outside a request there is nothing to switch: workers have no share.
        let _ = SHARE.try_with(|share| *share.borrow_mut() = self.share(holder));
    }
}

/// The share that this task uses.
pub(super) fn current() -> Option<Arc<Semaphore>> {
    SHARE.try_with(|share| share.borrow().clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_that_nobody_uses_are_forgotten() {
        let shares = Shares::of(8);
        let one = || ShareHolder::Workspace(WorkspaceId::new());
        let used = shares.share(one());
        assert_eq!(used.available_permits(), 4);
        for _ in 0..5 * MAX_IDLE {
            shares.share(one());
        }
        let held = shares.shares.lock().unwrap();
        assert!(held.len() <= MAX_IDLE);
        assert!(held.values().any(|share| Arc::ptr_eq(share, &used)));
    }

    #[tokio::test]
    async fn a_request_switches_to_the_workspace_that_it_asks_about() {
        let (shares, workspace) = (Shares::of(8), WorkspaceId::new());
        assert!(current().is_none());
        shares
            .run(ShareHolder::Session(vec![1]), async {
                let before = current().unwrap();
                shares.switch_to(workspace);
                let after = current().unwrap();
                assert!(!Arc::ptr_eq(&before, &after));
                let same = shares.share(ShareHolder::Workspace(workspace));
                assert!(Arc::ptr_eq(&after, &same));
            })
            .await;
        shares.switch_to(workspace);
        assert!(current().is_none());
    }
}

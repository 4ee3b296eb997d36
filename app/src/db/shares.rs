//! How many queries of one workspace run at once: fewer than there are connections that read, so that others always have
//! one, whatever a workspace asks for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::domain::WorkspaceId;

tokio::task_local! {
    static SHARE: RefCell<Arc<Semaphore>>;
}

/// How many shares are remembered before those that nobody uses are forgotten.
const MAX_IDLE: usize = 1_000;

/// Whose queries are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ShareHolder {
    Workspace(WorkspaceId),
    /// Someone who is signed in, by the hash of their session's token, until it is known which workspace they ask about.
    Session(Vec<u8>),
}

/// The shares of those who are reading.
#[derive(Debug)]
pub struct Shares {
    queries: usize,
    shares: Mutex<HashMap<ShareHolder, Arc<Semaphore>>>,
}

impl Shares {
    /// Of so many connections that read, each gets half.
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

    /// Runs a request: its queries, as far as they are made by this task, take no more than this share.
    pub async fn run<F: Future>(&self, holder: ShareHolder, request: F) -> F::Output {
        let share = RefCell::new(self.share(holder));
        SHARE.scope(share, request).await
    }

    /// From here on the queries of the request that this task answers count as this workspace's.
    pub fn switch_to(&self, workspace: WorkspaceId) {
        let holder = ShareHolder::Workspace(workspace);
        // Outside of a request there is nothing to switch: workers have no share.
        let _ = SHARE.try_with(|share| *share.borrow_mut() = self.share(holder));
    }
}

/// The share of whom this task works for.
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

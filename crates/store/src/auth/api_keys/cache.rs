//! The cache of keys. Key data from the database is cached, so that a busy client does not cost a query per request,
//! but never longer than [`HARD_LIFE`]: a revocation takes effect on every node within that time, and with the next
//! request on the node that made it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use super::known::Known;
use super::query::read;
use super::refusal::KeyRefusal;
use crate::auth::key_changes::{KeyChange, KeyChanges};
use crate::auth::key_token::KeyHash;
use crate::context::AppContext;
use crate::rate_limit::auth::KeyCaller;

/// After this long, one request reads the key again while the others use the cached one.
const SOFT_LIFE: Duration = Duration::from_secs(1);
/// After this long, the cached key is no longer used.
const HARD_LIFE: Duration = Duration::from_secs(2);
/// The maximum number of cached keys; further keys are read each time.
const MAX_REMEMBERED: usize = 20_000;

/// The cached keys of a running server.
#[derive(Debug)]
pub struct ApiKeyCache {
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    /// Changes on this node that are not yet applied to the cache.
    changes: Receiver<KeyChange>,
    entries: HashMap<KeyHash, Entry>,
    /// Increases with every change on this node. A key read before a change is not cached after it.
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    known: Arc<Known>,
    /// When the read began, so that a slow read does not live longer.
    read_at: Instant,
    /// Whether a request is reading the key again now.
    renewing: bool,
}

impl ApiKeyCache {
    pub fn new(changes: &KeyChanges) -> Self {
        Self {
            memory: Mutex::new(Memory {
                changes: changes.subscribe(),
                entries: HashMap::new(),
                generation: 0,
            }),
        }
    }

    pub(super) async fn find(
        &self,
        ctx: &AppContext,
        hash: KeyHash,
        caller: KeyCaller,
    ) -> Result<Arc<Known>, KeyRefusal> {
        if let Some(known) = self.remembered(&hash, Instant::now()) {
            return Ok(known);
        }
        let _turn = ctx.limits().key_lookup(caller).await;
        let (read_at, generation) = (Instant::now(), self.memory().generation);
        let Some(known) = read(ctx, hash).await? else {
            ctx.limits().unknown_key(caller)?;
            return Err(KeyRefusal::Unknown);
        };
        let known = Arc::new(known);
        self.remember(hash, known.clone(), read_at, generation);
        Ok(known)
    }

    /// The cached key. The first request after the soft life gets `None` and reads the key again.
    fn remembered(&self, hash: &KeyHash, now: Instant) -> Option<Arc<Known>> {
        let mut memory = self.memory();
        let entry = memory.entries.get_mut(hash)?;
        let age = now.saturating_duration_since(entry.read_at);
        if age >= HARD_LIFE || (age >= SOFT_LIFE && !entry.renewing) {
            entry.renewing = true;
            return None;
        }
        Some(entry.known.clone())
    }

    fn remember(&self, hash: KeyHash, known: Arc<Known>, read_at: Instant, generation: u64) {
        let mut memory = self.memory();
        if memory.generation != generation {
            return;
        }
        if memory.entries.len() >= MAX_REMEMBERED && !memory.entries.contains_key(&hash) {
            let now = Instant::now();
            memory
                .entries
                .retain(|_, entry| now.saturating_duration_since(entry.read_at) < HARD_LIFE);
            if memory.entries.len() >= MAX_REMEMBERED {
                return;
            }
        }
        let entry = Entry {
            known,
            read_at,
            renewing: false,
        };
        memory.entries.insert(hash, entry);
    }

    /// The cache, with all changes applied that were made on this node.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.apply_changes();
        memory
    }
}

impl Memory {
    fn apply_changes(&mut self) {
        loop {
            match self.changes.try_recv() {
                Ok(change) => self.forget(change),
                Err(TryRecvError::Lagged(_)) => {
                    self.generation += 1;
                    self.entries.clear();
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn forget(&mut self, change: KeyChange) {
        self.generation += 1;
        self.entries.retain(|_, entry| {
            let facts = &entry.known.facts;
            match change {
                KeyChange::Key(key) => facts.id != key,
                KeyChange::Workspace(workspace) => facts.workspace != workspace,
                KeyChange::Confirmed => facts.confirmed,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::api_keys::known::tests::known;
    use crate::auth::key_changes::KEPT;
    use domain::ApiKeyId;

    #[test]
    fn one_looks_again_after_a_second_and_all_after_two() {
        let (keys, hash, start) = (
            ApiKeyCache::new(&KeyChanges::default()),
            [1; 32],
            Instant::now(),
        );
        keys.remember(hash, Arc::new(known(&[])), start, 0);
        let held = |millis| {
            keys.remembered(&hash, start + Duration::from_millis(millis))
                .is_some()
        };
        assert!(held(0) && held(999));
        assert!(!held(1_000), "the first to come looks again");
        assert!(held(1_001) && held(1_999), "the others go on meanwhile");
        assert!(!held(2_000) && !held(2_000));
    }

    #[test]
    fn what_was_read_before_a_revocation_is_not_remembered_after_it() {
        let changes = KeyChanges::default();
        let (keys, hash, now) = (ApiKeyCache::new(&changes), [1; 32], Instant::now());
        let read = Arc::new(known(&[]));
        let generation = keys.memory().generation;
        changes.send(KeyChange::Key(read.facts.id));
        keys.remember(hash, read, now, generation);
        assert!(keys.remembered(&hash, now).is_none());
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let (keys, now) = (ApiKeyCache::new(&KeyChanges::default()), Instant::now());
        let read = Arc::new(known(&[]));
        let hash = |n: usize| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&n.to_le_bytes());
            hash
        };
        for n in 0..MAX_REMEMBERED + 100 {
            keys.remember(hash(n), read.clone(), now, 0);
        }
        assert_eq!(keys.memory().entries.len(), MAX_REMEMBERED);
        assert!(keys.remembered(&hash(0), now).is_some());
    }

    #[test]
    fn a_change_is_applied_before_the_next_request() {
        let changes = KeyChanges::default();
        let (keys, now) = (ApiKeyCache::new(&changes), Instant::now());
        let read = Arc::new(known(&[]));
        let cached = |hash: u8| {
            let generation = keys.memory().generation;
            keys.remember([hash; 32], read.clone(), now, generation);
            keys.remembered(&[hash; 32], now).is_some()
        };
        assert!(cached(1));
        changes.send(KeyChange::Confirmed);
        assert!(keys.remembered(&[1; 32], now).is_some(), "it is confirmed");
        changes.send(KeyChange::Workspace(read.facts.workspace));
        assert!(keys.remembered(&[1; 32], now).is_none());
        assert!(cached(2));
        // More changes than are kept for a cache that nobody asks.
        for _ in 0..=KEPT {
            changes.send(KeyChange::Key(ApiKeyId::new()));
        }
        assert!(keys.remembered(&[2; 32], now).is_none());
    }
}

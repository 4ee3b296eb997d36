//! The open streams of each user, which are limited.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::UserId;

/// How many streams one user can have open: one for each browser, or for each tab of a browser without locks. A stream
/// costs a connection and a listener.
const MAX_COUNT: usize = 16;

/// The number of open streams of each user.
#[derive(Clone, Debug, Default)]
pub struct Streams(Arc<Mutex<HashMap<UserId, usize>>>);

/// One of a user's streams; dropping it frees the slot.
pub struct StreamSlot {
    streams: Streams,
    user: UserId,
}

impl Streams {
    /// The total number of open streams.
    pub fn open(&self) -> usize {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().sum()
    }

    pub fn enter(&self, user: UserId) -> Option<StreamSlot> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user).or_insert(0);
        if *count >= MAX_COUNT {
            return None;
        }
        *count += 1;
        Some(StreamSlot {
            streams: self.clone(),
            user,
        })
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let streams = &self.streams.0;
        let mut open = streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

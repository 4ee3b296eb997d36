//! Leases: what a worker holds, so that no other takes it, such as a delivery or a letter that is on its way. A lease names
//! the process that gave it out, so that what a process held when it crashed is told from what others hold, and is taken
//! over without waiting for each lease to run out.
//!
//! On PostgreSQL a process says every few seconds that it is there, in a row of `processes`, and that is what holds its
//! leases; on SQLite, which has one server, a lock on a file does (`server/src/work/leases.rs`).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::domain::Timestamp;

/// How long a process that says nothing more counts as alive.
pub const PROCESS_LEASE: Duration = Duration::from_secs(10);
/// How much of that must be left to begin something.
const MARGIN: Duration = Duration::from_secs(2);

/// The leases of this process.
#[derive(Debug)]
pub struct Leases(Mutex<State>);

#[derive(Clone, Copy, Debug)]
struct State {
    process: u64,
    /// When it last said that it is there, by both clocks: one does not stand still while the machine sleeps, the other is
    /// not put back. None: it need not say so.
    said: Option<(Instant, Timestamp)>,
}

impl Default for Leases {
    fn default() -> Self {
        Self(Mutex::new(State {
            process: random(),
            said: None,
        }))
    }
}

impl Leases {
    /// A new lease.
    pub fn token(&self) -> Uuid {
        Uuid::from_u64_pair(self.lock().process, random())
    }

    /// Whether a lease is still this process's own: it is alive, and was so all the time since. Others may hold by now what
    /// it held before it was taken for dead.
    pub fn holds(&self, token: Uuid) -> bool {
        let state = *self.lock();
        token.as_u64_pair().0 == state.process && state.is_alive()
    }

    /// Whether this process may take and begin anything.
    pub fn is_alive(&self) -> bool {
        self.lock().is_alive()
    }

    /// By what this process is known. Its leases lie between [`Leases::range`] of this.
    pub fn process(&self) -> Uuid {
        Uuid::from_u64_pair(self.lock().process, 0)
    }

    /// The first and the last lease that a process can give out.
    pub fn range(process: Uuid) -> (Uuid, Uuid) {
        let process = process.as_u64_pair().0;
        (
            Uuid::from_u64_pair(process, 0),
            Uuid::from_u64_pair(process, u64::MAX),
        )
    }

    /// Whether it has been written down before that this process is there.
    pub fn has_heartbeat(&self) -> bool {
        self.lock().said.is_some()
    }

    /// It has been written down that this process is there. `at`: when that was begun.
    pub fn record_heartbeat(&self, at: (Instant, Timestamp)) {
        self.lock().said = Some(at);
    }

    /// This process was taken for dead, or may have been. It begins anew, under another name, at this moment: none of its
    /// leases holds any more.
    pub fn begin_anew(&self, process: Uuid, at: (Instant, Timestamp)) {
        *self.lock() = State {
            process: process.as_u64_pair().0,
            said: Some(at),
        };
    }

    /// A name for a process that begins anew.
    pub fn new_process() -> Uuid {
        Uuid::from_u64_pair(random(), 0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_alive(&self) -> bool {
        self.said.is_none_or(|(instant, at)| {
            let silent = instant.elapsed().max(Timestamp::now().since(at));
            silent + MARGIN < PROCESS_LEASE
        })
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_held_while_its_process_says_that_it_is_there() {
        let (leases, others) = (Leases::default(), Leases::default());
        let lease = leases.token();
        assert!(leases.holds(lease) && !others.holds(lease));
        let (first, last) = Leases::range(leases.process());
        assert!(first <= lease && lease <= last);
        let now = (Instant::now(), Timestamp::now());
        leases.record_heartbeat(now);
        assert!(leases.holds(lease));
        // The machine slept.
        let long_ago = Timestamp::now().before(PROCESS_LEASE);
        leases.record_heartbeat((Instant::now(), long_ago));
        assert!(!leases.holds(lease) && !leases.is_alive());
        leases.begin_anew(Leases::new_process(), now);
        assert!(!leases.holds(lease), "others may hold by now what it held");
        assert!(leases.holds(leases.token()));
    }
}

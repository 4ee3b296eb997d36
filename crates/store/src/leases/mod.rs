//! Leases: a worker leases work, such as a delivery or an email being sent, so that no other worker takes it. A lease
//! names the process that issued it. So the leases of a crashed process can be distinguished from others and taken over
//! before each one expires.
//!
//! On PostgreSQL, a process keeps its leases by writing a heartbeat to a row of `processes` every few seconds. SQLite
//! has one server, which keeps its leases by a file lock (`server/src/work/leases.rs`).

pub mod processes;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::Timestamp;
use uuid::Uuid;

/// How long a process without a new heartbeat counts as alive.
pub const PROCESS_LEASE: Duration = Duration::from_secs(10);
/// How much of that time must be left to start new work.
const MARGIN: Duration = Duration::from_secs(2);

/// The leases of this process.
#[derive(Debug)]
pub struct Leases(Mutex<State>);

#[derive(Clone, Copy, Debug)]
struct State {
    process: u64,
    /// The last heartbeat, by both clocks: one does not stop while the machine sleeps, the other is never set back.
    /// `None`: no heartbeat is needed.
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

    /// Whether this process still owns a lease: the process is alive and has been alive since it took the lease.
    /// Otherwise another process may have taken the lease over.
    pub fn holds(&self, token: Uuid) -> bool {
        let state = *self.lock();
        token.as_u64_pair().0 == state.process && state.is_alive()
    }

    /// Whether this process can take leases and start work.
    pub fn is_alive(&self) -> bool {
        self.lock().is_alive()
    }

    /// The id of this process. Its leases lie within [`Leases::range`] of this id.
    pub fn process(&self) -> Uuid {
        Uuid::from_u64_pair(self.lock().process, 0)
    }

    /// The first and the last lease that a process can issue.
    pub fn range(process: Uuid) -> (Uuid, Uuid) {
        let process = process.as_u64_pair().0;
        (
            Uuid::from_u64_pair(process, 0),
            Uuid::from_u64_pair(process, u64::MAX),
        )
    }

    /// Whether this process has ever recorded a heartbeat.
    pub fn has_heartbeat(&self) -> bool {
        self.lock().said.is_some()
    }

    /// Records a heartbeat of this process. `at`: when writing the heartbeat began.
    pub fn record_heartbeat(&self, at: (Instant, Timestamp)) {
        self.lock().said = Some(at);
    }

    /// Restarts this process under a new id at this moment, after others considered it dead or may have. None of its
    /// earlier leases is valid.
    pub fn begin_anew(&self, process: Uuid, at: (Instant, Timestamp)) {
        *self.lock() = State {
            process: process.as_u64_pair().0,
            said: Some(at),
        };
    }

    /// An id for a process that restarts.
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

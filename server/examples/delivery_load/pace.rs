//! Requests at a fixed rate. What is late is late: a wait counts from when a request was due, not from when a client that
//! was held up got round to it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How many threads share the rate. Each waits for its answer, and the others go on meanwhile.
const THREADS: u32 = 8;

/// Calls `send` with 0, 1, 2, …, `rate` times a second for `time`, and says how often. Each thread has a state of its
/// own, such as a connection.
pub fn paced<S>(
    rate: u32,
    time: Duration,
    state: impl Fn() -> anyhow::Result<S> + Sync,
    send: impl Fn(&mut S, usize, Instant) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<usize> {
    let (begun, next) = (
        Instant::now() + Duration::from_millis(50),
        AtomicUsize::new(0),
    );
    let every = Duration::from_secs(1) / rate;
    let work = || -> anyhow::Result<()> {
        let mut state = state()?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = every * u32::try_from(number)?;
            if due >= time {
                return Ok(());
            }
            let due = begun + due;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            send(&mut state, number, due)?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("no thread panics"))
    })?;
    Ok(usize::try_from(time.as_nanos().div_ceil(every.as_nanos()))?)
}

/// The median and the ninety-ninth of a hundred.
pub fn percentiles(mut waits: Vec<Duration>) -> (Duration, Duration) {
    waits.sort_unstable();
    let at = |share: usize| {
        let index = (waits.len() * share).div_ceil(100).saturating_sub(1);
        waits.get(index).copied().unwrap_or_default()
    };
    (at(50), at(99))
}

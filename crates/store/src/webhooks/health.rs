//! The health of an endpoint. After several consecutive failures its circuit opens: nothing is attempted until the pause
//! ends, and then a single attempt.

use std::time::Duration;

use domain::Timestamp;

/// The consecutive failures that open the circuit, its first pause, and its longest.
const FAILURES: i32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LAST_PAUSE: Duration = Duration::from_mins(10);
/// How many deliveries the queue of endpoints that fail holds, in progress or waiting to start.
pub const FAILING_QUEUE_SIZE: usize = 256;

/// An endpoint's health, as its row records it.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    pub failures: i32,
    pub circuit_open_until: Option<Timestamp>,
    pub succeeded: bool,
}

impl Health {
    pub fn is_suspect(&self) -> bool {
        self.failures > 0 || !self.succeeded
    }

    /// After a pause, one attempt decides whether to continue.
    pub fn is_probing(&self) -> bool {
        self.failures >= FAILURES
    }
}

/// The end of the pause after this many consecutive failures.
pub fn pause_after(failures: i32, now: Timestamp) -> Option<Timestamp> {
    let doubled = u32::try_from(failures.checked_sub(FAILURES)?).ok()?.min(10);
    Some(now.after((FIRST_PAUSE * (1 << doubled)).min(LAST_PAUSE)))
}

/// The duration, varied by up to a fifth, so that deliveries that failed together are not retried together.
pub fn jittered(duration: Duration) -> Duration {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    let share = f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX);
    duration.mul_f64(0.8 + 0.4 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_to_ten_minutes() {
        let now = Timestamp::from_millis(1_000_000);
        let pause = |failures| pause_after(failures, now).map(|until| until.since(now).as_secs());
        assert_eq!(pause(4), None);
        assert_eq!(pause(5), Some(30));
        assert_eq!(pause(6), Some(60));
        assert_eq!(pause(9), Some(480));
        assert_eq!(pause(10), Some(600));
        assert_eq!(pause(i32::MAX), Some(600));
    }

    #[test]
    fn jitter_is_a_fifth_at_most() {
        for _ in 0..1000 {
            let wait = jittered(Duration::from_secs(100)).as_secs_f64();
            assert!((80.0..=120.0).contains(&wait), "{wait}");
        }
    }
}

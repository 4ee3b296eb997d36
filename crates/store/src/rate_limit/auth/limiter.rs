//! A limiter that counts each key on its own.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::AppError;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

pub(super) type Keyed = DefaultKeyedRateLimiter<String>;

/// A burst of `burst`, then one every `refill`.
pub(super) fn keyed(burst: u32, refill: Duration) -> Keyed {
    let quota = Quota::with_period(refill).expect("the refill time is not zero");
    RateLimiter::keyed(quota.allow_burst(NonZeroU32::new(burst).expect("the burst is not zero")))
}

pub(super) fn check(limiter: &Keyed, key: String) -> Result<(), AppError> {
    limiter.check_key(&key).map_err(|refused| {
        let wait = refused.wait_time_from(DefaultClock::default().now());
        AppError::RateLimited {
            retry_after: wait.as_secs().saturating_add(1),
        }
    })
}

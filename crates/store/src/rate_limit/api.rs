//! Rate limits of the public API: per key, per workspace (all keys together), and per IP address without a valid key.
//! Every response reports the remaining quota, so that a well-behaved client never exceeds it.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use domain::{ApiKeyId, WorkspaceId};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{NotUntil, Quota, RateLimiter};

use crate::rate_limit::network::network;

/// Per key: a burst, then one request per interval. 1,000, then 100 per second.
const KEY: Allowance = Allowance::new("key", 1000, Duration::from_millis(10));
/// All keys of a workspace together: 3,000, then 300 per second.
const WORKSPACE: Allowance = Allowance::new("workspace", 3000, Duration::from_micros(3333));
/// An IP address without a valid key: 60, then one per second. Checked only after the key is found invalid, so that
/// other clients' mistakes cost a valid key nothing.
const ADDRESS: Allowance = Allowance::new("address", 60, Duration::from_secs(1));

/// One limit with its name.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    name: &'static str,
    burst: u32,
    refill: Duration,
}

impl Allowance {
    const fn new(name: &'static str, burst: u32, refill: Duration) -> Self {
        Self {
            name,
            burst,
            refill,
        }
    }
}

/// The state of a limit after a request: the numbers of the `RateLimit` and `RateLimit-Policy` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitState {
    pub name: &'static str,
    /// The number of requests in a full window.
    pub quota: u32,
    /// Seconds until a used-up quota is full again.
    pub window: u64,
    pub remaining: u32,
    /// Seconds until the quota is full again.
    pub reset: u64,
}

/// Whether a request is allowed, and the state of its limits. Empty if limits are off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiLimitCheck {
    pub standings: Vec<LimitState>,
    /// Seconds to wait, if the request exceeds a limit.
    pub retry_after: Option<u64>,
}

#[derive(Debug)]
pub struct ApiLimits {
    keys: Limit<ApiKeyId>,
    workspaces: Limit<WorkspaceId>,
    addresses: Limit<String>,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            keys: Limit::new(KEY),
            workspaces: Limit::new(WORKSPACE),
            addresses: Limit::new(ADDRESS),
        }
    }
}

impl ApiLimits {
    /// Checks a request with a valid key.
    pub fn with_key(&self, key: ApiKeyId, workspace: WorkspaceId) -> ApiLimitCheck {
        let mut verdict = ApiLimitCheck::default();
        self.keys.ask(&key, &mut verdict);
        if verdict.retry_after.is_none() {
            self.workspaces.ask(&workspace, &mut verdict);
        }
        verdict
    }

    /// Checks a request without a valid key.
    pub fn without_key(&self, address: IpAddr) -> ApiLimitCheck {
        let mut verdict = ApiLimitCheck::default();
        self.addresses.ask(&network(address), &mut verdict);
        verdict
    }

    /// Removes clients whose quota is full again.
    pub fn forget_idle(&self) {
        self.keys.forget_idle();
        self.workspaces.forget_idle();
        self.addresses.forget_idle();
    }
}

#[derive(Debug)]
struct Limit<K: Clone + Hash + Eq> {
    allowance: Allowance,
    limiter: RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>,
}

impl<K: Clone + Hash + Eq> Limit<K> {
    fn new(allowance: Allowance) -> Self {
        let burst = NonZeroU32::new(allowance.burst).expect("the burst is not zero");
        let quota = Quota::with_period(allowance.refill).expect("the refill time is not zero");
        Self {
            allowance,
            limiter: RateLimiter::keyed(quota.allow_burst(burst))
                .with_middleware::<StateInformationMiddleware>(),
        }
    }

    fn ask(&self, who: &K, verdict: &mut ApiLimitCheck) {
        let remaining = match self.limiter.check_key(who) {
            Ok(snapshot) => StateSnapshot::remaining_burst_capacity(&snapshot),
            Err(refused) => {
                verdict.retry_after = Some(wait(&refused));
                0
            }
        };
        let Allowance {
            name,
            burst,
            refill,
        } = self.allowance;
        verdict.standings.push(LimitState {
            name,
            quota: burst,
            window: whole_seconds(refill * burst),
            remaining,
            reset: whole_seconds(refill * burst.saturating_sub(remaining)),
        });
    }

    fn forget_idle(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

fn wait(refused: &NotUntil<<DefaultClock as Clock>::Instant>) -> u64 {
    let wait = refused.wait_time_from(DefaultClock::default().now());
    wait.as_secs().saturating_add(1)
}

fn whole_seconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_and_the_workspace_one_for_all() {
        let rates = ApiLimits::default();
        let (workspace, greedy) = (WorkspaceId::new(), ApiKeyId::new());
        let first = rates.with_key(greedy, workspace);
        assert_eq!(first.retry_after, None);
        assert_eq!(
            first.standings[0],
            LimitState {
                name: "key",
                quota: 1000,
                window: 10,
                remaining: 999,
                reset: 1
            }
        );
        assert_eq!(first.standings[1].name, "workspace");

        let refused = (0..3000).find_map(|_| rates.with_key(greedy, workspace).retry_after);
        assert!(matches!(refused, Some(1..=2)), "{refused:?}");
        assert_eq!(
            rates.with_key(ApiKeyId::new(), workspace).retry_after,
            None,
            "another key of the workspace still may"
        );
        let all = (0..4000).find_map(|_| rates.with_key(ApiKeyId::new(), workspace).retry_after);
        assert!(all.is_some(), "but not without end");
        assert_eq!(
            rates
                .with_key(ApiKeyId::new(), WorkspaceId::new())
                .retry_after,
            None,
            "and another workspace is untouched"
        );
    }

    #[test]
    fn an_address_without_a_key_is_told_to_wait() {
        let rates = ApiLimits::default();
        let address = "192.0.2.1".parse().unwrap();
        let refused = (0..100)
            .map(|_| rates.without_key(address))
            .find(|verdict| verdict.retry_after.is_some())
            .unwrap();
        assert_eq!(refused.standings[0].remaining, 0);
        assert_eq!(
            rates.without_key("192.0.2.2".parse().unwrap()).retry_after,
            None
        );
    }
}

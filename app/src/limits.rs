//! How often something may be tried: against guessing passwords, flooding inboxes and filling the disk.
//!
//! Limits are per address *and* per account, so that neither one machine trying many accounts nor many machines
//! trying one gets far. They live in memory: a restart forgives, which is a fair price for no write per attempt.
//! Nobody can lock another out: what counts per account counts for strangers' addresses only (see
//! [`Limits::sign_in`]).

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::AppError;
use crate::rates::Rates;

/// The limits in force, or none for load tests.
#[derive(Debug)]
pub struct Limits(Option<Kept>);

#[derive(Debug)]
struct Kept {
    sign_in_pair: Keyed,
    sign_in_address: Keyed,
    sign_in_account: Keyed,
    sign_up: Keyed,
    mail_address: Keyed,
    mail_account: Keyed,
    token: Keyed,
    api: Rates,
}

type Keyed = DefaultKeyedRateLimiter<String>;

/// `burst` at once, then one every `refill`.
fn keyed(burst: u32, refill: Duration) -> Keyed {
    let quota = Quota::with_period(refill).expect("the refill time is not zero");
    RateLimiter::keyed(quota.allow_burst(NonZeroU32::new(burst).expect("the burst is not zero")))
}

impl Limits {
    pub fn on() -> Self {
        Self(Some(Kept {
            sign_in_pair: keyed(8, Duration::from_secs(20)),
            sign_in_address: keyed(30, Duration::from_secs(5)),
            sign_in_account: keyed(40, Duration::from_mins(1)),
            sign_up: keyed(10, Duration::from_mins(2)),
            mail_address: keyed(30, Duration::from_secs(30)),
            mail_account: keyed(5, Duration::from_mins(2)),
            token: keyed(30, Duration::from_secs(5)),
            api: Rates::default(),
        }))
    }

    pub fn off() -> Self {
        Self(None)
    }

    /// A password is about to be tried. `known` says that this address has signed in to this account before: then
    /// strangers who use up the account's own allowance from elsewhere do not lock its owner out.
    pub fn sign_in(&self, address: IpAddr, account: &str, known: bool) -> Result<(), AppError> {
        let Some(kept) = &self.0 else { return Ok(()) };
        let network = network(address);
        check(&kept.sign_in_address, network.clone())?;
        check(&kept.sign_in_pair, format!("{network} {account}"))?;
        if known {
            Ok(())
        } else {
            check(&kept.sign_in_account, account.to_owned())
        }
    }

    /// An account is about to be made.
    pub fn sign_up(&self, address: IpAddr) -> Result<(), AppError> {
        self.0
            .as_ref()
            .map_or(Ok(()), |kept| check(&kept.sign_up, network(address)))
    }

    /// A mail is about to be sent to `account` on somebody's word.
    pub fn mail(&self, address: IpAddr, account: &str) -> Result<(), AppError> {
        let Some(kept) = &self.0 else { return Ok(()) };
        check(&kept.mail_address, network(address))?;
        check(&kept.mail_account, account.to_owned())
    }

    /// A token from a link is about to be tried.
    pub fn token(&self, address: IpAddr) -> Result<(), AppError> {
        self.0
            .as_ref()
            .map_or(Ok(()), |kept| check(&kept.token, network(address)))
    }

    /// The public API's own limits, unless limits are off.
    pub fn api(&self) -> Option<&Rates> {
        self.0.as_ref().map(|kept| &kept.api)
    }

    /// Forgets whoever has not been seen for long enough to have their whole allowance back.
    pub fn forget_idle(&self) {
        if let Some(kept) = &self.0 {
            kept.api.forget_idle();
            for limiter in [
                &kept.sign_in_pair,
                &kept.sign_in_address,
                &kept.sign_in_account,
                &kept.sign_up,
                &kept.mail_address,
                &kept.mail_account,
                &kept.token,
            ] {
                limiter.retain_recent();
                limiter.shrink_to_fit();
            }
        }
    }
}

fn check(limiter: &Keyed, key: String) -> Result<(), AppError> {
    limiter.check_key(&key).map_err(|refused| {
        let wait = refused.wait_time_from(DefaultClock::default().now());
        AppError::RateLimited {
            retry_after: wait.as_secs().saturating_add(1),
        }
    })
}

/// What counts as one place: an IPv4 address, or the /64 that a household or server gets of IPv6.
pub(crate) fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn elsewhere(n: u8) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, n))
    }

    #[test]
    fn guessing_one_account_from_one_place_ends_with_a_time_to_wait() {
        let limits = Limits::on();
        let refused = (0..20).find_map(|_| limits.sign_in(HOME, "olivia@acme.example", true).err());
        assert!(
            matches!(
                refused,
                Some(AppError::RateLimited {
                    retry_after: 1..=21
                })
            ),
            "{refused:?}"
        );
        assert!(
            limits.sign_in(HOME, "adam@acme.example", true).is_ok(),
            "another account may still be tried"
        );
    }

    #[test]
    fn many_machines_cannot_lock_an_owner_out() {
        let limits = Limits::on();
        for n in 0..=255 {
            let _ = limits.sign_in(elsewhere(n), "olivia@acme.example", false);
        }
        assert!(
            limits
                .sign_in(elsewhere(7), "olivia@acme.example", false)
                .is_err()
        );
        assert!(limits.sign_in(HOME, "olivia@acme.example", true).is_ok());
    }

    #[test]
    fn a_whole_ipv6_network_is_one_place() {
        assert_eq!(
            network("2001:db8::1".parse().unwrap()),
            network("2001:db8::ffff:2".parse().unwrap())
        );
        assert_ne!(
            network("2001:db8::1".parse().unwrap()),
            network("2001:db8:0:1::1".parse().unwrap())
        );
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1");
    }
}

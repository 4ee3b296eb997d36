//! Limits how often actions can be tried, to prevent password guessing, flooded inboxes and full disks.
//!
//! Limits apply per IP address *and* per account, so that neither one machine trying many accounts nor many machines
//! trying one gets far. They live in memory: a restart resets them, which is a fair price for no write per attempt.
//! Nobody can lock another person out: the limit per account counts only unknown networks (see
//! [`AuthLimits::sign_in`]).

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::{ApiKeyId, AppError, Email, SessionId, UserId, WorkspaceId};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::rate_limit::api::ApiLimits;
use crate::rate_limit::network::network;

/// The limits in force. `None` for load tests.
#[derive(Debug)]
pub struct AuthLimits(Option<Limiters>);

#[derive(Debug)]
struct Limiters {
    sign_in_pair: Keyed,
    sign_in_address: Keyed,
    sign_in_account: Keyed,
    reauthenticate: Keyed,
    sign_up: Keyed,
    mail_address: Keyed,
    mail_account: Keyed,
    mail_pair: Keyed,
    mail_unconfirmed: Keyed,
    token: Keyed,
    invite_person: Keyed,
    invite_workspace: Keyed,
    invite_recipient: Keyed,
    workspace_create: Keyed,
    slug_lookup: Keyed,
    unknown_key: Keyed,
    /// Callers who tried too many unknown keys, and until when to expect more tries.
    suspects: Mutex<HashMap<String, Instant>>,
    suspect_lookups: Arc<Semaphore>,
    dry_run: Keyed,
    api: ApiLimits,
}

/// The maximum number of such callers in memory.
const MAX_SUSPECTS: usize = 10_000;

/// How many API keys are looked up at the same time for callers who repeatedly try unknown keys: this uses one of the
/// few read connections, however many such callers there are.
const MAX_SUSPECT_LOOKUPS: usize = 1;

/// Who tries an API key, for the limit on unknown keys. Never an IP address that a request only claims: otherwise a
/// caller could use up the quota of another network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyCaller {
    /// A client that presents the key itself, by its network.
    Network(IpAddr),
    /// A program that asks about a key it received, by the program's own API key.
    Key(ApiKeyId),
}

impl KeyCaller {
    fn name(self) -> String {
        match self {
            Self::Network(address) => network(address),
            Self::Key(key) => key.to_string(),
        }
    }
}

/// How many links are sent to an unconfirmed email address: a burst, then one per interval.
const UNCONFIRMED_EMAILS: u32 = 5;
const UNCONFIRMED_EMAIL_EVERY: Duration = Duration::from_hours(2);

type Keyed = DefaultKeyedRateLimiter<String>;

/// A burst of `burst`, then one every `refill`.
fn keyed(burst: u32, refill: Duration) -> Keyed {
    let quota = Quota::with_period(refill).expect("the refill time is not zero");
    RateLimiter::keyed(quota.allow_burst(NonZeroU32::new(burst).expect("the burst is not zero")))
}

impl AuthLimits {
    pub fn on() -> Self {
        Self(Some(Limiters {
            sign_in_pair: keyed(8, Duration::from_secs(20)),
            sign_in_address: keyed(30, Duration::from_secs(5)),
            sign_in_account: keyed(40, Duration::from_mins(1)),
            reauthenticate: keyed(10, Duration::from_mins(1)),
            sign_up: keyed(10, Duration::from_mins(2)),
            mail_address: keyed(30, Duration::from_secs(30)),
            mail_account: keyed(5, Duration::from_mins(2)),
            mail_pair: keyed(5, Duration::from_mins(2)),
            mail_unconfirmed: keyed(UNCONFIRMED_EMAILS, UNCONFIRMED_EMAIL_EVERY),
            token: keyed(30, Duration::from_secs(5)),
            // 200 an hour: a whole company is invited in an afternoon.
            invite_person: keyed(60, Duration::from_secs(18)),
            invite_workspace: keyed(60, Duration::from_secs(18)),
            invite_recipient: keyed(5, Duration::from_mins(10)),
            workspace_create: keyed(20, Duration::from_mins(5)),
            slug_lookup: keyed(120, Duration::from_millis(500)),
            unknown_key: keyed(30, Duration::from_secs(2)),
            suspects: Mutex::default(),
            suspect_lookups: Arc::new(Semaphore::new(MAX_SUSPECT_LOOKUPS)),
            dry_run: keyed(10, Duration::from_secs(6)),
            api: ApiLimits::default(),
        }))
    }

    pub fn off() -> Self {
        Self(None)
    }

    /// Counts a password attempt. `known`: this network has signed in to this account before. Then strangers elsewhere
    /// who use up the account's own quota do not lock its owner out.
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

    /// Counts a re-entered password in a session. Someone who stole a session gets no more guesses than at sign-in,
    /// from however many networks.
    pub fn reauthenticate(&self, person: UserId, session: SessionId) -> Result<(), AppError> {
        let Some(kept) = &self.0 else { return Ok(()) };
        check(&kept.reauthenticate, session.to_string())?;
        check(&kept.reauthenticate, person.to_string())
    }

    /// Counts a sign-up.
    pub fn sign_up(&self, address: IpAddr) -> Result<(), AppError> {
        self.0
            .as_ref()
            .map_or(Ok(()), |kept| check(&kept.sign_up, network(address)))
    }

    /// Counts a requested email to `account`. `known` as in [`AuthLimits::sign_in`]: strangers who use up the account's
    /// quota do not keep its owner from requesting a new password.
    pub fn mail(&self, address: IpAddr, account: &str, known: bool) -> Result<(), AppError> {
        let Some(kept) = &self.0 else { return Ok(()) };
        let network = network(address);
        check(&kept.mail_address, network.clone())?;
        if known {
            check(&kept.mail_pair, format!("{network} {account}"))
        } else {
            check(&kept.mail_account, account.to_owned())
        }
    }

    /// Counts a link to an unconfirmed email address, whose owner may never have requested one.
    pub fn unconfirmed(&self, recipient: &Email) -> Result<(), AppError> {
        self.0.as_ref().map_or(Ok(()), |kept| {
            check(&kept.mail_unconfirmed, recipient.to_string())
        })
    }

    /// Counts an invitation of `recipient` to `workspace` by `person`, new or resent.
    pub fn invite(
        &self,
        person: UserId,
        workspace: WorkspaceId,
        recipient: &Email,
    ) -> Result<(), AppError> {
        let Some(kept) = &self.0 else { return Ok(()) };
        check(&kept.invite_recipient, recipient.to_string())?;
        check(&kept.invite_person, person.to_string())?;
        check(&kept.invite_workspace, workspace.to_string())
    }

    /// Counts a new workspace of `person`.
    pub fn workspace_create(&self, person: UserId) -> Result<(), AppError> {
        self.0.as_ref().map_or(Ok(()), |kept| {
            check(&kept.workspace_create, person.to_string())
        })
    }

    /// Counts a check by `person` whether a slug is available, which runs at every keystroke.
    pub fn slug_lookup(&self, person: UserId) -> Result<(), AppError> {
        self.0
            .as_ref()
            .map_or(Ok(()), |kept| check(&kept.slug_lookup, person.to_string()))
    }

    /// Counts a dry run of a webhook of `workspace` on its latest events.
    pub fn dry_run(&self, workspace: WorkspaceId) -> Result<(), AppError> {
        self.0
            .as_ref()
            .map_or(Ok(()), |kept| check(&kept.dry_run, workspace.to_string()))
    }

    /// Counts an attempt to use a token from a link.
    pub fn token(&self, address: IpAddr) -> Result<(), AppError> {
        self.0
            .as_ref()
            .map_or(Ok(()), |kept| check(&kept.token, network(address)))
    }

    /// Limits the lookup of an API key that is not cached. Nobody is refused here, since the key may be valid: a caller
    /// who tried too many unknown keys waits in a queue with similar callers. Keep the returned permit during the
    /// lookup.
    pub async fn key_lookup(&self, caller: KeyCaller) -> Option<OwnedSemaphorePermit> {
        let kept = self.0.as_ref()?;
        {
            let suspects = kept.suspects.lock().unwrap_or_else(PoisonError::into_inner);
            if suspects.is_empty() {
                return None;
            }
            suspects
                .get(&caller.name())
                .filter(|until| **until > Instant::now())?;
        }
        kept.suspect_lookups.clone().acquire_owned().await.ok()
    }

    /// Counts a well-formed API key that does not exist. Refuses only the response to that request, and only for a
    /// client that presents the key itself: a program that asks about keys has an API key with its own limits.
    pub fn unknown_key(&self, caller: KeyCaller) -> Result<(), AppError> {
        let Some(kept) = &self.0 else { return Ok(()) };
        let name = caller.name();
        let refused = check(&kept.unknown_key, name.clone());
        if let Err(AppError::RateLimited { retry_after }) = &refused {
            let until = Instant::now() + Duration::from_secs(*retry_after);
            let mut suspects = kept.suspects.lock().unwrap_or_else(PoisonError::into_inner);
            if suspects.len() < MAX_SUSPECTS {
                suspects.insert(name, until);
            }
        }
        match caller {
            KeyCaller::Network(_) => refused,
            KeyCaller::Key(_) => Ok(()),
        }
    }

    /// The limits of the public API, unless limits are off.
    pub fn api(&self) -> Option<&ApiLimits> {
        self.0.as_ref().map(|kept| &kept.api)
    }

    /// Removes callers whose quota is full again.
    pub fn forget_idle(&self) {
        if let Some(kept) = &self.0 {
            kept.api.forget_idle();
            for limiter in [
                &kept.sign_in_pair,
                &kept.sign_in_address,
                &kept.sign_in_account,
                &kept.reauthenticate,
                &kept.sign_up,
                &kept.mail_address,
                &kept.mail_account,
                &kept.mail_pair,
                &kept.mail_unconfirmed,
                &kept.token,
                &kept.invite_person,
                &kept.invite_workspace,
                &kept.invite_recipient,
                &kept.workspace_create,
                &kept.slug_lookup,
                &kept.unknown_key,
                &kept.dry_run,
            ] {
                limiter.retain_recent();
                limiter.shrink_to_fit();
            }
            let now = Instant::now();
            kept.suspects
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|_, until| *until > now);
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn elsewhere(n: u8) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, n))
    }

    #[test]
    fn guessing_one_account_from_one_place_ends_with_a_time_to_wait() {
        let limits = AuthLimits::on();
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
        let limits = AuthLimits::on();
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
    fn a_stranger_does_not_use_up_the_reset_mail_of_someone_at_home() {
        let limits = AuthLimits::on();
        while limits
            .mail(elsewhere(1), "olivia@acme.example", false)
            .is_ok()
        {}
        assert!(
            limits
                .mail(elsewhere(2), "olivia@acme.example", false)
                .is_err()
        );
        assert!(limits.mail(HOME, "olivia@acme.example", true).is_ok());
    }

    #[test]
    fn inviting_is_limited_by_person_workspace_and_recipient() {
        let limits = AuthLimits::on();
        let (olivia, adam, acme, globex) = (
            UserId::new(),
            UserId::new(),
            WorkspaceId::new(),
            WorkspaceId::new(),
        );
        let address = |n: usize| Email::parse(&format!("p{n}@new.example")).unwrap();
        let sent = (0..100)
            .take_while(|&n| limits.invite(olivia, acme, &address(n)).is_ok())
            .count();
        assert!((60..70).contains(&sent), "{sent} at once");
        assert!(
            limits.invite(olivia, globex, &address(200)).is_err(),
            "she did not stop being herself"
        );
        assert!(
            limits.invite(adam, acme, &address(201)).is_err(),
            "the workspace has sent enough"
        );
        let (greta, hank) = (UserId::new(), UserId::new());
        let bothered = (0..10)
            .take_while(|_| {
                limits
                    .invite(greta, WorkspaceId::new(), &address(300))
                    .is_ok()
            })
            .count();
        assert_eq!(bothered, 5);
        assert!(
            limits
                .invite(hank, WorkspaceId::new(), &address(300))
                .is_err()
        );
        assert!(
            limits
                .invite(hank, WorkspaceId::new(), &address(301))
                .is_ok()
        );
    }

    #[tokio::test]
    async fn unknown_keys_are_refused_and_a_lookup_never_is() {
        let limits = AuthLimits::on();
        let attacker = KeyCaller::Network(elsewhere(7));
        assert!(limits.key_lookup(attacker).await.is_none());
        let refused = (0..100).find_map(|_| limits.unknown_key(attacker).err());
        assert!(matches!(refused, Some(AppError::RateLimited { .. })));
        let turn = limits.key_lookup(attacker).await;
        assert!(turn.is_some(), "whoever guesses is looked up one at a time");
        let next = limits.key_lookup(KeyCaller::Network(elsewhere(7)));
        let waits = tokio::time::timeout(Duration::from_millis(20), next).await;
        assert!(waits.is_err(), "the next one waits");
        assert!(
            limits.key_lookup(KeyCaller::Network(HOME)).await.is_none(),
            "nobody else waits"
        );
        drop(turn);
        assert!(limits.key_lookup(attacker).await.is_some());
    }

    #[tokio::test]
    async fn a_program_that_asks_about_unknown_keys_is_counted_by_its_own_key() {
        let limits = AuthLimits::on();
        let (busy, quiet) = (ApiKeyId::new(), ApiKeyId::new());
        for _ in 0..100 {
            assert!(limits.unknown_key(KeyCaller::Key(busy)).is_ok());
        }
        assert!(limits.key_lookup(KeyCaller::Key(busy)).await.is_some());
        assert!(limits.key_lookup(KeyCaller::Key(quiet)).await.is_none());
        assert!(limits.key_lookup(KeyCaller::Network(HOME)).await.is_none());
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

//! The limits in force, and how each action is counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::{AppError, Email, SessionId, UserId, WorkspaceId};
use tokio::sync::Semaphore;

use super::limiter::{Keyed, check, keyed};
use crate::rate_limit::api::ApiLimits;
use crate::rate_limit::network::network;

/// The limits in force. `None` for load tests.
#[derive(Debug)]
pub struct AuthLimits(pub(super) Option<Limiters>);

#[derive(Debug)]
pub(super) struct Limiters {
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
    pub(super) unknown_key: Keyed,
    /// Callers who tried too many unknown keys, and until when to expect more tries.
    pub(super) suspects: Mutex<HashMap<String, Instant>>,
    pub(super) suspect_lookups: Arc<Semaphore>,
    dry_run: Keyed,
    api: ApiLimits,
}

/// How many API keys are looked up at the same time for callers who repeatedly try unknown keys: this uses one of the
/// few read connections, however many such callers there are.
const MAX_SUSPECT_LOOKUPS: usize = 1;
/// How many links are sent to an unconfirmed email address: a burst, then one per interval.
const UNCONFIRMED_EMAILS: u32 = 5;
const UNCONFIRMED_EMAIL_EVERY: Duration = Duration::from_hours(2);

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

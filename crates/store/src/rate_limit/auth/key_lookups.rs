//! The limit on unknown API keys, by whoever tries them.

use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use domain::{ApiKeyId, AppError};
use tokio::sync::OwnedSemaphorePermit;

use super::limiter::check;
use super::limits::AuthLimits;
use crate::rate_limit::network::network;

/// The maximum number of callers in memory who tried too many unknown keys.
const MAX_SUSPECTS: usize = 10_000;

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

impl AuthLimits {
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
}

//! What can go wrong, in the words shown to the person affected.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::money::grouped;
use super::permission::Permission;

/// The errors of a form, by field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldErrors(BTreeMap<String, String>);

impl FieldErrors {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an error for a field. The first error of a field wins.
    pub fn add(&mut self, field: &str, message: impl fmt::Display) {
        self.0
            .entry(field.to_owned())
            .or_insert_with(|| message.to_string());
    }

    /// Returns a parsed value, or adds its error to the field.
    pub fn check<T, E: fmt::Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(field, error)).ok()
    }

    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(field, message)| (field.as_str(), message.as_str()))
    }
}

/// How many seconds a busy server asks clients to wait.
const BUSY_RETRY_AFTER: u64 = 5;

/// The error of a server function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppError {
    /// Nobody is signed in.
    Unauthenticated,
    /// Signed in, but the role does not include this.
    Forbidden { permission: Permission },
    /// Their email address is not confirmed, and this requires a confirmed one.
    Unconfirmed,
    /// Does not exist, or belongs to others.
    NotFound,
    /// Fields to fix.
    Invalid(FieldErrors),
    /// The current state does not allow it.
    Conflict(String),
    /// The plan's limit is reached.
    LimitReached(String),
    /// There are fewer credits than this costs.
    CreditsShort { needed: i64, balance: i64 },
    /// Tried too often; `retry_after` in seconds.
    RateLimited { retry_after: u64 },
    /// The workspace is frozen: only billing, leaving and one's own account can change.
    Frozen,
    /// A request that none of our pages sends.
    Malformed,
    /// The server is overloaded or could not finish in time.
    Busy,
    /// The browser could not reach the server.
    Offline,
    /// An internal error. The log has the details under the incident's number.
    Internal { incident: String },
    /// The page is older than the server, and they would misunderstand each other.
    Outdated,
}

impl AppError {
    /// One field to fix.
    pub fn field(field: &str, message: impl fmt::Display) -> Self {
        let mut errors = FieldErrors::new();
        errors.add(field, message);
        Self::Invalid(errors)
    }

    /// The matching HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthenticated => 401,
            Self::CreditsShort { .. } => 402,
            Self::Forbidden { .. } | Self::Unconfirmed | Self::Frozen => 403,
            Self::NotFound => 404,
            Self::Conflict(_) | Self::LimitReached(_) => 409,
            Self::Outdated => 412,
            Self::Invalid(_) => 422,
            Self::RateLimited { .. } => 429,
            Self::Internal { .. } => 500,
            Self::Offline | Self::Busy => 503,
        }
    }

    /// After how many seconds a retry is worthwhile, if known: the `Retry-After` of the response.
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Busy => Some(BUSY_RETRY_AFTER),
            _ => None,
        }
    }

    /// The heading of an error page.
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "Sign in to continue",
            Self::Forbidden { .. } => "You don't have access to this page",
            Self::Unconfirmed => "Confirm your email address",
            Self::NotFound => "Page not found",
            Self::Invalid(_) => "Something needs your attention",
            Self::Conflict(_) => "This changed while you were editing",
            Self::LimitReached(_) => "Limit reached",
            Self::CreditsShort { .. } => "Not enough credits",
            Self::RateLimited { .. } => "Too many attempts",
            Self::Frozen => "This workspace is frozen",
            Self::Malformed => "Bad request",
            Self::Busy => "The server is busy",
            Self::Offline => "No connection",
            Self::Internal { .. } => "Something went wrong",
            Self::Outdated => "A new version is available",
        }
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthenticated => f.write_str("Your session has ended. Sign in and try again."),
            Self::Forbidden { permission } => {
                write!(
                    f,
                    "Your role doesn't allow this. Ask {} for access.",
                    permission.who_can_help()
                )
            }
            Self::Unconfirmed => f.write_str(
                "Your email address isn't confirmed. Open the link in the email we sent you, or resend the email from this \
                 page. Then try again.",
            ),
            Self::NotFound => {
                f.write_str("We couldn't find this. It may have been moved or deleted.")
            }
            Self::Invalid(_) => f.write_str("Some fields need your attention."),
            Self::Conflict(message) | Self::LimitReached(message) => f.write_str(message),
            Self::CreditsShort { needed, balance } => write!(
                f,
                "This costs {} credits, but only {} are left.",
                grouped(*needed),
                grouped(*balance)
            ),
            Self::RateLimited { retry_after } => match retry_after {
                0..=1 => f.write_str("Too many attempts. Try again in 1 second."),
                2..=90 => write!(f, "Too many attempts. Try again in {retry_after} seconds."),
                _ => write!(
                    f,
                    "Too many attempts. Try again in {} minutes.",
                    retry_after.div_ceil(60)
                ),
            },
            Self::Frozen => {
                f.write_str("This workspace is frozen. Choose a plan to make changes.")
            }
            Self::Malformed => f.write_str(
                "Something went wrong with that request. Reload the page and try again.",
            ),
            Self::Busy => f.write_str(
                "The server is busy and couldn't finish in time. Wait a few seconds and try again.",
            ),
            Self::Offline => {
                f.write_str("Can't reach Wheelhouse. Check your connection and try again.")
            }
            Self::Outdated => f.write_str("A new version is available. Reload."),
            Self::Internal { incident } => {
                write!(
                    f,
                    "Something went wrong on our end. If it keeps happening, contact support with code {incident}."
                )
            }
        }
    }
}

impl std::error::Error for AppError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_about_a_field_stands() {
        let mut errors = FieldErrors::new();
        assert_eq!(errors.check::<(), _>("name", Err("Enter a name")), None);
        errors.add("name", "Something else");
        assert_eq!(errors.get("name"), Some("Enter a name"));
    }

    #[test]
    fn travels_as_json() {
        let error = AppError::field("email", "Enter an email address");
        let json = serde_json::to_string(&error).unwrap();
        assert_eq!(json, r#"{"invalid":{"email":"Enter an email address"}}"#);
        assert_eq!(serde_json::from_str::<AppError>(&json).unwrap(), error);
    }
}

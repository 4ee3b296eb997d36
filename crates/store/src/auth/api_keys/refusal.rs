//! The reasons to refuse a key.

use std::fmt;

use domain::AppError;

/// Why a key is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// Not in the format of a key, or mistyped.
    Malformed,
    /// In the format of a key, but no such key exists, or its workspace was deleted.
    Unknown,
    Revoked,
    /// Past its expiry date, or replaced by a rotation.
    Expired,
    /// Valid, but not from this IP address.
    AddressNotAllowed,
    /// The check failed, or this client presented too many unknown keys.
    Internal(AppError),
}

impl fmt::Display for KeyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("Malformed API key."),
            Self::Unknown => f.write_str("Unknown API key."),
            Self::Revoked => f.write_str("This API key was revoked."),
            Self::Expired => f.write_str("This API key has expired or was replaced."),
            Self::AddressNotAllowed => {
                f.write_str("This API key can't be used from this IP address.")
            }
            Self::Internal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeyRefusal {}

impl From<AppError> for KeyRefusal {
    fn from(error: AppError) -> Self {
        Self::Internal(error)
    }
}

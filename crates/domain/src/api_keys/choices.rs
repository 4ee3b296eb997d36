//! The status of an API key, and what a user can choose for one: the tab of the list, when a key expires, and how long
//! a rotated key keeps working.

use std::time::Duration;

use crate::catalog::string_enum;
use crate::{days, hours};

string_enum! {
    /// The status of a key.
    Status {
        Active = "active",
        /// It was rotated, and works until the end of the rotation.
        Rotating = "rotating",
        /// The rotation has ended: only the new key works.
        Retired = "retired",
        Expired = "expired",
        Revoked = "revoked",
    }
}

impl Status {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Rotating => "Rotating",
            Self::Retired => "Rotated",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
        }
    }

    /// Whether the API accepts the key.
    pub const fn works(self) -> bool {
        matches!(self, Self::Active | Self::Rotating)
    }
}

string_enum! {
    /// The tabs above the list.
    Filter {
        All = "all",
        Active = "active",
        Expired = "expired",
        Revoked = "revoked",
    }
}

impl Filter {
    pub const fn label(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Active => "Active",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
        }
    }

    /// Reads the query parameter; any other value is All.
    pub fn read(text: &str) -> Self {
        text.parse().unwrap_or(Self::All)
    }
}

string_enum! {
    /// How long a rotated key keeps working beside the new one.
    Grace {
        Now = "now",
        Hour = "hour",
        Day = "day",
        Week = "week",
    }
}

impl Grace {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Now => "Immediately",
            Self::Hour => "In 1 hour",
            Self::Day => "In 24 hours",
            Self::Week => "In 7 days",
        }
    }

    pub const fn duration(self) -> Duration {
        match self {
            Self::Now => Duration::ZERO,
            Self::Hour => hours(1),
            Self::Day => hours(24),
            Self::Week => days(7),
        }
    }
}

string_enum! {
    /// When a new key expires.
    Expiry {
        Never = "never",
        Month = "30",
        Quarter = "90",
        Year = "365",
        Date = "date",
    }
}

impl Expiry {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Never => "Never",
            Self::Month => "In 30 days",
            Self::Quarter => "In 90 days",
            Self::Year => "In 1 year",
            Self::Date => "Custom date",
        }
    }
}

//! How long sessions last, and how long a sign-in is fresh.

use domain::{days, minutes};

/// A session that is unused for this long has ended.
pub const SESSION_IDLE: std::time::Duration = days(14);
/// A session ends after this time, even if it is in use.
pub const SESSION_LIFE: std::time::Duration = days(90);
/// A sign-in this recent is enough for a sensitive change; after that, the current password is required.
pub const FRESH: std::time::Duration = minutes(15);

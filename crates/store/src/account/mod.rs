//! A user's own account: profile, email address, password and sessions.

mod email_change;
mod email_links;
mod password;
mod profile;
mod sessions;
mod view;

pub use self::email_change::{cancel_change, resend_change};
pub use self::email_links::{follow_link, link_kind};
pub use self::password::update_password;
pub use self::profile::save_profile;
pub use self::sessions::{end_others, end_session};
pub use self::view::view;

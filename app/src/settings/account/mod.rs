//! Settings → Account: a person's name, email address, password and active sessions.

pub mod api;
pub mod page;

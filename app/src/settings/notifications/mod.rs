//! Settings → Notifications: which events a person is notified of, and through which channel. The choices belong to the
//! person and apply to all their workspaces.

pub mod api;
pub mod page;

//! Settings → Notifications: which events reach a person, and through which channel. The choices are the person's and
//! hold in every workspace.

pub mod api;
pub mod model;
pub mod page;
#[cfg(feature = "ssr")]
pub mod store;

//! Settings → Workspace: its name and URL, leaving it, transferring it, deleting it.

pub mod api;
pub mod model;
pub mod page;
#[cfg(feature = "ssr")]
pub mod store;

//! Settings → Workspace: its name and URL, leaving it, handing it over, deleting it.

pub mod api;
pub mod model;
pub mod page;
#[cfg(feature = "ssr")]
pub mod store;

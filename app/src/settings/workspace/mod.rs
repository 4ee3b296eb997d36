//! Settings → Workspace: its name and URL, leaving it, transferring it, deleting it.

pub mod api;
pub mod page;

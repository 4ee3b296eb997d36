//! Settings → Members: inviting people, what became of the invitations, and who is in the workspace.

pub mod api;
#[cfg(feature = "ssr")]
pub mod invitations;
#[cfg(feature = "ssr")]
pub mod list;
pub mod model;
pub mod page;
#[cfg(feature = "ssr")]
pub mod store;

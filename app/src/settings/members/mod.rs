//! Settings → Members: inviting people, the status of invitations, and the list of members.

pub mod api;
#[cfg(feature = "ssr")]
pub mod invitations;
#[cfg(feature = "ssr")]
pub mod list;
pub mod model;
pub mod page;
#[cfg(feature = "ssr")]
pub mod store;

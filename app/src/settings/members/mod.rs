//! Settings → Members: inviting people, the status of invitations, and the list of members.

pub mod api;
pub mod page;

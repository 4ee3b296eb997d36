//! In-app notifications: the inbox of a person in a workspace, and the number on the bell.

pub mod api;
pub mod model;
pub mod page;
#[cfg(feature = "ssr")]
pub mod store;

//! In-app notifications: the inbox of a person in a workspace, and the number on the bell.

pub mod api;
pub mod page;

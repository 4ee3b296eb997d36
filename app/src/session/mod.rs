//! Pages for people who are not signed in: sign-up, sign-in, password reset, email confirmation, and accepting
//! invitations.

pub mod api;
#[cfg(feature = "ssr")]
mod caller;
pub mod notice;
pub mod page;

#[cfg(feature = "ssr")]
pub use caller::{app_context, caller};

//! Settings → API Keys: access keys for the customers' programs. A key is Live or Test, has scopes, is shown once, can
//! be rotated with an overlap, and can be revoked immediately.

pub mod api;
pub mod model;
pub mod page;

mod create;
mod key_page;
mod panels;

#[cfg(feature = "ssr")]
pub mod authenticate;
#[cfg(feature = "ssr")]
pub mod cli;
#[cfg(feature = "ssr")]
pub mod store;
#[cfg(feature = "ssr")]
pub mod token;
#[cfg(feature = "ssr")]
pub mod usage;
#[cfg(feature = "ssr")]
pub mod views;

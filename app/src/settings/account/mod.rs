//! Settings → Account: a person's name and e-mail address, their password, and the browsers they are signed in with.

pub mod api;
pub mod model;
pub mod page;
#[cfg(feature = "ssr")]
pub mod store;

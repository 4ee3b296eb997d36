//! Settings → API Keys: access keys for the customers' programs. A key is Live or Test, has scopes, is shown once, can
//! be rotated with an overlap, and can be revoked immediately.

pub mod api;
pub mod page;

mod create;
pub mod key_page;
mod panels;

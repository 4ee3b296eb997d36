//! The types that every part of Wheelhouse shares. No database, no page, no network; no clock except
//! [`Timestamp::now`]. Values such as [`Email`] and [`Slug`] are always valid, because parsing is the only way to create
//! one. Each section of the settings area has a module with the forms and views that its store and its page use.

pub mod account;
pub mod api_keys;
pub mod billing;
pub mod catalog;
pub mod contacts;
pub mod credits;
pub mod form;
pub mod inbox;
pub mod members;
pub mod notifications;
pub mod outbox;
pub mod overview;
pub mod payments;
pub mod session;
pub mod subscriptions;
pub mod webhooks;
pub mod workspace;

#[cfg(feature = "server")]
mod columns;
mod email;
mod error;
mod html;
mod id;
#[cfg(feature = "server")]
mod internal_error;
mod money;
mod name;
mod parsed_text;
mod permission;
mod role;
mod secret;
mod slug;
mod timestamp;
mod topic;

pub use email::{Email, EmailError};
pub use error::{AppError, FieldErrors};
pub use html::escape_html;
pub use id::*;
#[cfg(feature = "server")]
pub use internal_error::{INTERRUPTED, internal, is_overload};
pub use money::{Money, grouped};
#[cfg(feature = "server")]
pub use name::fold;
pub use name::{Name, NameError};
pub use permission::Permission;
pub use role::Role;
pub use secret::{PasswordError, Secret, check_new_password};
pub use slug::{Slug, SlugError};
pub use timestamp::{Timestamp, days, hours, minutes};
pub use topic::Topic;

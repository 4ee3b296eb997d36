//! API keys, as the pages and the server share them: their limits, the choices that a form offers, forms and views.

mod choices;
mod forms;
mod views;

pub use choices::{Expiry, Filter, Grace, Status};
pub use forms::{
    CreateForm, KeyNameForm, NewKey, RotateForm, SELECT_ALL, SELECT_NONE, SELECT_READ, ScopesForm,
    picked, read_scopes,
};
pub use views::{KeyRow, KeyView, KeysView, RequestRow};

use std::time::Duration;

use crate::days;

/// The maximum number of keys in a workspace, without those that are revoked or replaced.
pub const MAX_KEYS: u64 = 100;
/// The maximum number of IP addresses and CIDR ranges that a key allows.
pub const MAX_NETWORKS: usize = 50;
/// A key that was unused for this long gets a badge.
pub const UNUSED_AFTER: Duration = days(90);
/// Unused scopes are counted once a key is this old, because a new integration may not have used all of them yet.
pub const SETTLED_AFTER: Duration = days(30);
/// How long an entry of the request log is kept.
pub const LOG_LIFE: Duration = days(7);
/// The page size of the list of keys, and of the request log.
pub const PAGE: u64 = 25;
pub const LOG_PAGE: u64 = 50;

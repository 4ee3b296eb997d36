//! Checks the key of every request.

mod cache;
mod check;
mod known;
mod query;
mod refusal;

pub use self::cache::ApiKeyCache;
pub use self::check::check;
pub(crate) use self::known::read_scopes;
pub use self::refusal::KeyRefusal;

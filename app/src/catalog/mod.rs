//! What the trade names: event types, their categories and channels; what an API key may be allowed. Pure.

mod events;
mod named;
mod scopes;

pub use events::{Category, Channel, EventType, Mode};
pub use named::UnknownName;
pub(crate) use named::named;
pub use scopes::{Scope, ScopeGroup};

//! What the trade names: event types, their categories and channels; what an API key may be allowed; what is sold. Pure.

mod events;
#[cfg(feature = "ssr")]
mod file;
mod named;
mod offer;
mod scopes;

pub use events::{Category, Channel, EventType, Mode};
#[cfg(feature = "ssr")]
pub use file::CatalogError;
pub use named::UnknownName;
pub(crate) use named::named;
pub use offer::{Catalog, CdrMode, CreditPackage, Feature, Plan, Seller};
pub use scopes::{Scope, ScopeGroup};

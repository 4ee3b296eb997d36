//! What the trade names: event types, their categories and channels; what an API key may be allowed; what is sold. Pure.

mod events;
#[cfg(feature = "server")]
mod loader;
mod pricing;
mod scopes;
mod string_enum;

pub use events::{Category, Channel, EventType, Mode};
#[cfg(feature = "server")]
pub use loader::CatalogError;
pub use pricing::{Catalog, CdrMode, CreditPackage, Feature, Plan, Seller};
pub use scopes::{Scope, ScopeGroup};
pub use string_enum::UnknownName;
pub(crate) use string_enum::string_enum;

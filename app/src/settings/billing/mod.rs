//! Settings → Billing: the plan, its price and renewal date, and plan changes.

pub mod api;
pub mod invoice;
mod list;
pub mod model;
pub mod page;
mod plan_picker;
#[cfg(feature = "ssr")]
pub mod seed;
#[cfg(feature = "ssr")]
pub mod store;

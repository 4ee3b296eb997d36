//! Settings → Billing: the plan, what it costs and when, and changing it.

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

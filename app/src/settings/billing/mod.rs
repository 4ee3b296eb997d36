//! Settings → Billing: the plan, what it costs and when, and changing it.

pub mod api;
mod choosing;
pub mod invoice;
mod list;
pub mod model;
pub mod page;
#[cfg(feature = "ssr")]
pub mod seed;
#[cfg(feature = "ssr")]
pub mod store;

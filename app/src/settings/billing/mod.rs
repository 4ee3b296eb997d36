//! Settings → Billing: the plan, what it costs and when, and changing it.

pub mod api;
pub mod invoice;
pub mod model;
pub mod page;
#[cfg(feature = "ssr")]
pub mod seed;
#[cfg(feature = "ssr")]
pub mod store;

//! Contacts: whom the customer sells to. The one thing of the product's that is kept here, so that keys, scopes, events,
//! notifications and webhooks run on something real end to end. Programs keep them over the public API; live keys and
//! test keys each see a world of their own.

pub mod model;

#[cfg(feature = "ssr")]
pub mod store;

//! Contacts: the customer's own leads and customers. Contacts are the only product data stored here, so that keys,
//! scopes, events, notifications and webhooks work on real data end to end. Programs manage contacts over the public
//! API. Live keys and test keys each see only the contacts of their own mode.

pub mod model;

#[cfg(feature = "ssr")]
pub mod store;

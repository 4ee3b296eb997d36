//! Settings → Webhooks: signed events for the customers' programs in real time, with a record of every attempt.

#[cfg(feature = "ssr")]
pub mod address;
pub mod api;
mod chart;
#[cfg(feature = "ssr")]
pub mod deliveries;
pub mod detail;
#[cfg(feature = "ssr")]
pub mod dto;
#[cfg(feature = "ssr")]
pub mod envelope;
#[cfg(feature = "ssr")]
pub mod filter;
#[cfg(feature = "ssr")]
pub mod matcher;
pub mod model;
pub mod page;
#[cfg(feature = "ssr")]
pub mod seed;
#[cfg(feature = "ssr")]
pub mod signing;
#[cfg(feature = "ssr")]
pub mod store;
#[cfg(feature = "ssr")]
pub mod view;

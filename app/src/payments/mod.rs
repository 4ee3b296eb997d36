//! Payments. No money moves within a database transaction. A payment is stored first, then the provider is asked for a
//! payment page. The outcome is applied when the provider's signed event arrives, or when the provider is polled
//! because no event came. After a crash at any point, the next poll completes the payment: every charge is fulfilled,
//! exactly once.
//!
//! [`provider`] defines the interface of a payment provider. [`simulated`] is the default provider: it moves no money,
//! keeps its own records, and sends signed events like any other provider.

pub mod api;
pub mod model;
pub mod notice;
pub mod page;

#[cfg(feature = "ssr")]
pub mod provider;
#[cfg(feature = "ssr")]
pub mod provider_webhook;
#[cfg(feature = "ssr")]
pub mod reversals;
#[cfg(feature = "ssr")]
pub mod simulated;
#[cfg(feature = "ssr")]
pub mod store;

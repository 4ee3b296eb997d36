//! Payments. Money never moves within a transaction of ours. What is to be paid is written down first; then the
//! provider is asked for a page to pay it on; and what became of it is applied when the provider's signed event comes
//! in, or when it is asked because none came. A crash anywhere between leaves something that the next look finishes:
//! what was charged is granted, once.
//!
//! There is one [`port`] and, behind it, a provider. [`simulated`] is the one for want of another: it moves no money,
//! keeps books of its own, and tells of them by signed events as any other does.

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

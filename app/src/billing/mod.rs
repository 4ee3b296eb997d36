//! Subscriptions. Wheelhouse keeps the calendar itself: the subscription's row and the catalog alone decide each
//! charge, its date and its result, whichever provider collects the money. The preview of a change and its charge come
//! from the same functions, and any provider that can charge a saved card works.
//!
//! A workspace starts on trial. Paying for a plan makes it active and restores access if it was frozen. At the end of a
//! month, a renewal is stored as a payment, and the outcome of that payment updates the subscription.

pub mod model;

#[cfg(feature = "ssr")]
pub mod engine;
#[cfg(feature = "ssr")]
pub mod invoices;
#[cfg(feature = "ssr")]
pub mod seats;

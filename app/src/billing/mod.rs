//! Subscriptions. Wheelhouse keeps the calendar itself: what is charged when, and what it buys, follows from the
//! subscription's row and the catalogue alone, whoever collects the money. So what is said before a change and what is
//! charged for it come from the same functions, and any provider that can charge a kept card will do.
//!
//! A workspace begins on trial. Paying for a plan makes it active, and restores access if it was frozen. When a month is over,
//! a renewal is written down as a payment, and what becomes of that moves the subscription on.

pub mod model;

#[cfg(feature = "ssr")]
pub mod engine;
#[cfg(feature = "ssr")]
pub mod invoices;
#[cfg(feature = "ssr")]
pub mod seats;

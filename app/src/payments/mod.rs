//! The page that shows the state of a payment, and the simulated checkout.

pub mod api;
pub mod notice;
pub mod page;

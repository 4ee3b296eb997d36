//! Settings → Webhooks: signed events for the customers' programs in real time, with a record of every attempt.

pub mod api;
mod chart;
pub mod detail;
pub mod page;

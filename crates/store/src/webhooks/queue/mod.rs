//! The delivery table as a queue. A worker claims batches of due deliveries with a lease and writes their outcomes in
//! batches, only while it still has the lease. While a delivery is leased, its next attempt is due when the lease
//! ends, so the index of due deliveries is an accurate schedule.

mod attempts;
mod claimed_batch;
mod claims;
mod deferrals;
mod endpoint_health;
mod leased;
mod outcomes;
mod statements;

pub use claimed_batch::{ClaimedBatch, LEASE};
pub use claims::{ClaimLimits, claim, release};
pub use deferrals::{Delays, defer};
pub use endpoint_health::{health, is_open};
pub use leased::{DeliveryOutcome, Leased};
pub use outcomes::settle;

/// A webhook, as its row says.
pub use crate::db::entity::webhook::Model as WebhookRow;

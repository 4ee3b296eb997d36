//! The external payment provider. `store::payments::provider` defines what every provider must do.

mod client;
pub mod stripe;

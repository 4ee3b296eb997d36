//! The external payment provider. `app::payments::provider` defines what every provider must do.

mod client;
pub mod stripe;

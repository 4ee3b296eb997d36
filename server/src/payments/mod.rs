//! The payment provider that is not of this ctx. What every provider must do, `app::payments::provider` says.

mod client;
pub mod stripe;

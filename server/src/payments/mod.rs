//! The payment provider that is not of this house. What every provider must do, `app::payments::port` says.

mod client;
pub mod stripe;

//! Billing.

pub mod invoices;
pub mod seats;
pub mod subscriptions;

mod cancellation;
mod choose;
mod decision;
mod details;
mod payment_method;
mod preview;
mod row;
mod view;

pub use self::cancellation::{cancel, resume};
pub use self::choose::{Chosen, choose};
pub use self::details::set_details;
pub use self::payment_method::manage;
pub use self::view::{invoice, view};

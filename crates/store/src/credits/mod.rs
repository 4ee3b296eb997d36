//! Changes of a balance: granting, spending, refunding, renewing. Holds are in their own module.

pub mod dto;
pub mod holds;
pub(crate) mod ledger;
pub mod top_up;
pub mod verify;
pub mod view;

mod expiries;
mod low_balance;
mod plans;
mod purchases;
mod refunds;
mod spending;
mod usage;

pub use self::expiries::{apply_expiries, sweep};
pub use self::low_balance::set_low_balance_threshold;
pub(crate) use self::plans::give_plan;
pub use self::plans::{add_to_plan, open_trial, renew};
pub use self::purchases::purchase;
pub(crate) use self::purchases::purchase_into;
pub use self::refunds::{refund, set_taken_back};
pub use self::spending::spend;
pub(crate) use self::spending::spend_from;

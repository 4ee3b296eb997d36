//! Settings → Billing: the plan, its price and renewal date, and plan changes.

pub mod api;
pub mod invoice;
mod list;
pub mod page;
mod plan_picker;

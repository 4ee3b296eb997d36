//! Subscriptions. Wheelhouse keeps the calendar itself: the subscription's row and the catalog alone decide each
//! charge, its date and its result, whichever provider collects the money. The preview of a change and its charge come
//! from the same functions, and any provider that can charge a saved card works.
//!
//! A workspace starts on trial. Paying for a plan makes it active and restores access if it was frozen. At the end of a
//! month, a renewal is stored as a payment, and the outcome of that payment updates the subscription.

mod changes;
mod entitlements;
mod periods;
mod renewals;
mod row;
mod trial;

pub use changes::{note_change, record_event};
pub use entitlements::{ensure_not_frozen, entitlements, plans_that_are_missing};
pub use periods::{apply, changed, debit, renewed, subscribed};
pub use renewals::{end, not_paid, process_due, waits_for};
pub use row::{locked, plan_in_use, save};
pub use trial::begin_trial;

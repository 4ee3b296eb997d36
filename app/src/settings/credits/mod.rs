//! Settings → Credits: what a workspace has to spend, what it was spent on, and what more costs.

pub mod api;
mod chart;
#[cfg(feature = "ssr")]
pub mod dto;
#[cfg(feature = "ssr")]
pub mod holds;
#[cfg(feature = "ssr")]
mod ledger;
pub mod model;
pub mod page;
#[cfg(feature = "ssr")]
pub mod seed;
#[cfg(feature = "ssr")]
pub mod store;
#[cfg(feature = "ssr")]
pub mod top_up;
#[cfg(feature = "ssr")]
mod usage;
#[cfg(feature = "ssr")]
pub mod verify;
#[cfg(feature = "ssr")]
pub mod view;

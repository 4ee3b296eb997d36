//! Settings → Credits: what a workspace has to spend, what it was spent on, and what more costs.

pub mod api;
mod chart;
pub mod page;

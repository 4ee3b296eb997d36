//! Live invalidations: how an open page learns that it should look again.
//!
//! An invalidation says who should look and at what, and nothing of what changed: losing one costs a moment, never truth.
//! Invalidations leave after the commit (`db::Tx` holds them until then), reach this process's open pages by a broadcast
//! channel, and other processes by whatever `server` connects to [`Hub::outgoing`].

mod topic;
pub use topic::Topic;

#[cfg(feature = "ssr")]
mod event_bus;
#[cfg(feature = "ssr")]
pub use event_bus::{Audience, EventBus, Invalidation, Received};

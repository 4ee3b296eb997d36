//! Invalidations: how an open page learns that it must reload data.
//!
//! An invalidation names the audience and the topic, but not the change: a lost one causes a delay, never wrong data.
//! Invalidations leave after the commit (`db::Tx` keeps them until then), reach this process's open pages by a
//! broadcast channel, and reach other processes through the `server` task that reads [`EventBus::outgoing`].

mod event_bus;
pub mod pg_notify;
pub use event_bus::{Audience, EventBus, Invalidation, Received};

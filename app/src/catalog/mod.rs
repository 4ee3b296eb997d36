//! What the trade names: event types, their categories and channels. Pure.

mod events;

pub use events::{Category, Channel, EventType};

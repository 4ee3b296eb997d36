//! Creates, rotates and revokes keys, and removes scopes from them.

pub mod cli;
pub mod usage;
pub mod views;

mod change;
mod create;
mod edit;
mod networks;
mod revoke;
mod rotation;

pub use self::create::create;
pub use self::edit::{narrow, rename};
pub use self::networks::read_networks;
pub use self::revoke::revoke;
pub use self::rotation::{finish_rotation, rotate};

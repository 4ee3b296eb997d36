//! The proofs of identity, the queries behind them, and how long a session lasts.

pub(super) mod lifetimes;

mod proofs;
mod queries;

pub use self::lifetimes::{SESSION_IDLE, SESSION_LIFE};
pub use self::proofs::{Actor, SessionContext, SignedInUser};

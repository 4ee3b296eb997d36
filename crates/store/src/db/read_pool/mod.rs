//! Runs queries outside a transaction, on idle connections that the process keeps open.
//!
//! sqlx's pool pings every returned connection. For short queries, a ping costs as much as the query: a second round
//! trip to PostgreSQL, or a second hop to SQLite's thread. So a connection that was used in the last two seconds is
//! trusted and serves the next query without going back to the pool.

mod connections;
mod pooled;
mod reader;

pub use connections::TRUSTED;
pub use reader::Reader;

use std::time::Duration;

/// How long a query may take. A query that takes longer, or whose request is canceled, is interrupted: otherwise it
/// would block a reader that other requests need.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

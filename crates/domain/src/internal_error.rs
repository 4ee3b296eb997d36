//! Turns an internal error into a response: it is logged once, where it happens, with all its sources. The person gets
//! a code to mention when they ask for help.

use std::error::Error;

use sea_orm::{ConnAcquireErr, DbErr, SqlErr};

use crate::error::AppError;

/// The message of the error for a query that was stopped because it took too long.
pub const INTERRUPTED: &str = "the query took too long and was interrupted";

/// Logs `error` with its sources and returns the response for it.
pub fn internal(doing: &str, error: &(dyn Error + 'static)) -> AppError {
    let incident = incident();
    tracing::error!(%incident, error = chain(error), "{doing} failed");
    AppError::Internal { incident }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Eight characters that are easy to read out on the phone.
fn incident() -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect()
}

/// Whether the database refused or stopped a query because of overload. The query can be retried.
pub fn is_overload(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => true,
        DbErr::Custom(message) => message == INTERRUPTED,
        _ => false,
    }
}

impl From<DbErr> for AppError {
    fn from(error: DbErr) -> Self {
        if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) {
            return Self::Conflict(
                "Someone else just made the same change. Refresh and try again.".to_owned(),
            );
        }
        if is_overload(&error) {
            tracing::warn!(%error, "a database statement was given up");
            return Self::Busy;
        }
        internal("a database statement", &error)
    }
}

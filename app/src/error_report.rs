//! Turns an internal error into a response: it is logged once, where it happens, with all its sources; the person gets
//! a code to name when they ask for help.

#[cfg(feature = "ssr")]
use std::error::Error;

use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};

use crate::domain::AppError;
use crate::rpc::PostcardEncoding;

impl FromServerFnError for AppError {
    type Encoder = PostcardEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Args(_)
            | ServerFnErrorErr::MissingArg(_)
            | ServerFnErrorErr::Deserialization(_) => Self::Malformed,
            #[cfg(not(feature = "ssr"))]
            ServerFnErrorErr::Request(_) | ServerFnErrorErr::Response(_) => Self::Offline,
            #[cfg(feature = "ssr")]
            other => internal("a server function", &other),
            #[cfg(not(feature = "ssr"))]
            other => Self::Internal {
                incident: other.to_string(),
            },
        }
    }
}

/// Logs `error` with its sources and returns the response for it.
#[cfg(feature = "ssr")]
pub fn internal(doing: &str, error: &(dyn Error + 'static)) -> AppError {
    let incident = incident();
    tracing::error!(%incident, error = chain(error), "{doing} failed");
    AppError::Internal { incident }
}

#[cfg(feature = "ssr")]
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
#[cfg(feature = "ssr")]
fn incident() -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect()
}

#[cfg(feature = "ssr")]
impl From<sea_orm::DbErr> for AppError {
    fn from(error: sea_orm::DbErr) -> Self {
        if crate::db::is_unique_violation(&error) {
            return Self::Conflict(
                "Someone else just made the same change. Refresh and try again.".to_owned(),
            );
        }
        if crate::db::is_overload(&error) {
            tracing::warn!(%error, "a database statement was given up");
            return Self::Busy;
        }
        internal("a database statement", &error)
    }
}

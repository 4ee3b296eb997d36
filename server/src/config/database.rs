//! The URL of the database, and the key file that belongs to it.

use std::path::PathBuf;

use store::db::parse_url;
use store::db::setup::sqlite_file;

use super::error::ConfigError;

/// The key file is beside a SQLite database; with PostgreSQL, in the directory that SQLite would use.
pub(super) fn key_file(database_url: &str) -> PathBuf {
    sqlite_file(database_url)
        .unwrap_or_else(|| PathBuf::from("data/wheelhouse.db"))
        .with_file_name("secret.key")
}

/// Refuses URLs whose user name or password contains unencoded URL characters: the rest of the password would be parsed
/// as a host or a path.
pub(super) fn check_database_url(url: &str) -> Result<(), ConfigError> {
    const VARIABLE: &str = "WHEELHOUSE_DATABASE_URL";
    if url.starts_with("sqlite:") {
        return parse_url(url).map_err(|error| ConfigError::new(VARIABLE, error));
    }
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (authority, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (path, query) = after.split_once('?').unwrap_or((after, ""));
    let in_a_key = |pair: &str| pair.split('=').next().is_some_and(|key| key.contains('@'));
    let cut_short = authority.contains(':')
        && !authority.contains('@')
        && (path.contains('@') || query.split('&').any(in_a_key));
    let two_ends = authority.matches('@').count() > 1;
    if cut_short || two_ends || url.contains('#') || parse_url(url).is_err() {
        return Err(ConfigError::new(
            VARIABLE,
            "is not a valid URL. In the user name and the password, percent-encode characters that have a meaning in \
             URLs: # as %23, / as %2F, ? as %3F, @ as %40, : as %3A, % as %25, a space as %20",
        ));
    }
    Ok(())
}

//! Sets up a database. One process at a time creates tables, fills them and records their key. A process that starts
//! meanwhile waits and then finds the work done.
//!
//! The lock outlives the migrations' transactions and ends with its process, however that process ends. On PostgreSQL
//! it is an advisory lock on a separate connection. For SQLite it is a file beside the database, locked by the
//! operating system.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sea_orm::sqlx::{self, Connection as _, PgConnection};
use sea_orm::{DatabaseConnection, DbBackend, DbErr, RuntimeErr};

/// The advisory lock's key: "wheelset" in ASCII, a number that no other program uses by chance.
const LOCK: i64 = 0x7768_6565_6c73_6574;
/// How often to try the file while another process locks it.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Proof that only this process sets up the database. Dropping it releases the lock.
#[derive(Debug)]
pub struct SetupLock(Held);

#[derive(Debug)]
enum Held {
    Postgres(Box<PgConnection>),
    Sqlite {
        _locked: File,
    },
    /// A database in memory belongs to this process alone.
    Alone,
}

impl SetupLock {
    /// Waits until no other process sets up this database.
    pub(super) async fn of(database: &DatabaseConnection) -> Result<Self, DbErr> {
        if database.get_database_backend() == DbBackend::Postgres {
            let options = database.get_postgres_connection_pool().connect_options();
            let mut connection = PgConnection::connect_with(&options).await.map_err(failed)?;
            lock(&mut connection).await.map_err(failed)?;
            return Ok(Self(Held::Postgres(Box::new(connection))));
        }
        let options = database.get_sqlite_connection_pool().connect_options();
        Self::of_file(file_of(&options).as_deref()).await
    }

    /// Waits until no other process sets up the SQLite database in this file.
    pub(super) async fn of_file(database: Option<&Path>) -> Result<Self, DbErr> {
        let Some(database) = database else {
            return Ok(Self(Held::Alone));
        };
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let unusable = |error: io::Error| {
            DbErr::Custom(format!(
                "the lock file {} cannot be used: {error}",
                path.display()
            ))
        };
        // The file stays there afterwards: another process may have opened it and could lock a deleted file.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        let mut said = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(Held::Sqlite { _locked: file })),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
            if !said {
                waiting();
                said = true;
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    /// Releases the lock. An error means that the lock was lost earlier and others may have run the same setup.
    pub async fn release(self) -> Result<(), DbErr> {
        let Held::Postgres(mut connection) = self.0 else {
            return Ok(());
        };
        let held: bool = sqlx::query_scalar("SELECT pg_advisory_unlock($1)")
            .bind(LOCK)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        // The connection is no longer needed, so a failed close does not matter.
        let _ = connection.close().await;
        if held {
            Ok(())
        } else {
            Err(DbErr::Custom(
                "the lock on the schema was lost; start again".to_owned(),
            ))
        }
    }
}

fn waiting() {
    tracing::info!("another process is setting this database up; waiting for it");
}

async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // A server may end slow statements and idle sessions. This session waits as long as a migration takes and then
    // stays idle with the lock. Settings are set by name, since older servers lack some.
    sqlx::query(
        "SELECT set_config(name, '0', false) FROM pg_settings \
         WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_session_timeout')",
    )
    .execute(&mut *connection)
    .await?;
    let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(&mut *connection)
        .await?;
    if !locked {
        waiting();
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(LOCK)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

/// The file of an SQLite database, from any form of its URL. `None` for in-memory and other databases.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    if !url.starts_with("sqlite:") {
        return None;
    }
    file_of(&url.parse().ok()?)
}

fn file_of(options: &SqliteConnectOptions) -> Option<PathBuf> {
    let path = options.get_filename();
    let name = path.to_string_lossy();
    // sqlx's name for in-memory databases. An empty name is a temporary database.
    (!name.is_empty() && !name.starts_with("file:sqlx-in-memory")).then(|| path.to_owned())
}

/// Whether an SQLite database contains this program's tables. The check creates nothing: neither the file nor a journal
/// beside a file that belongs to another program.
pub async fn is_set_up(url: &str) -> Result<bool, DbErr> {
    let options: SqliteConnectOptions = url.parse().map_err(failed)?;
    let options = options.create_if_missing(false);
    let mut connection = SqliteConnection::connect_with(&options)
        .await
        .map_err(failed)?;
    let found: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = 'seaql_migrations'")
            .fetch_one(&mut connection)
            .await
            .map_err(failed)?;
    connection.close().await.map_err(failed)?;
    Ok(found > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_database_is_found_in_every_spelling() {
        for (url, file) in [
            ("sqlite://data/a.db", Some("data/a.db")),
            ("sqlite:data/a.db", Some("data/a.db")),
            ("sqlite:///var/a.db?mode=rwc", Some("/var/a.db")),
            ("sqlite:///my%20data/a.db", Some("/my data/a.db")),
            ("sqlite::memory:", None),
            ("sqlite://:memory:", None),
            ("postgres://localhost/a", None),
        ] {
            assert_eq!(sqlite_file(url).as_deref(), file.map(Path::new), "{url}");
        }
    }
}

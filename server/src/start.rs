//! What every command needs first: the database and its key. Each is created once, by a command that is meant to create
//! it; every other command says what is missing.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Result;
use store::db::key_check::{self, KeyCheck};
use store::db::{Db, setup};
use store::master_key::{MasterKey, random_mark};

use crate::config::{Config, ConfigError, KeySource};

const KEY: &str = "WHEELHOUSE_SECRET_KEY";
const DATABASE: &str = "WHEELHOUSE_DATABASE_URL";

/// What to do if the database or its key does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    Make,
    Refuse,
}

/// Opens the database with its key, and creates and migrates both if necessary. Other processes that do the same at the
/// same time wait.
pub async fn set_up(config: &Config) -> Result<(Db, MasterKey), ConfigError> {
    let url = &config.database_url;
    // An unusable key is reported before anything is created.
    find_key(&config.secret_key)?;
    make_file_of(url)?;
    let db = Db::connect(url)
        .await
        .map_err(|error| database(url, "cannot open the database", error))?;
    let not_set_up = |error| database(url, "cannot migrate the database", error);
    let lock = db.lock_setup().await.map_err(not_set_up)?;
    // Before the migration: a process with the wrong key must not change the schema.
    let master_key = agree(&db, &config.secret_key, Absent::Make).await?;
    db.migrate_under(&lock).await.map_err(not_set_up)?;
    key_check::record(&db, &master_key)
        .await
        .map_err(not_set_up)?;
    lock.release().await.map_err(not_set_up)?;
    Ok((db, master_key))
}

/// Opens a database that exists and is up to date.
pub async fn existing(config: &Config) -> Result<Db, ConfigError> {
    let url = &config.database_url;
    let cannot_open = |error| database(url, "cannot open the database", error);
    if let Some(file) = setup::sqlite_file(url) {
        if !file.exists() {
            let problem = format!(
                "the database {} does not exist; create it with `wheelhouse serve`, `migrate` or `create-owner`",
                absolute(&file)
            );
            return Err(ConfigError::new(DATABASE, problem));
        }
        if !setup::is_set_up(url).await.map_err(cannot_open)? {
            return Err(not_migrated());
        }
    }
    let db = Db::connect_existing(url).await.map_err(cannot_open)?;
    if !db.is_migrated().await.map_err(cannot_open)? {
        return Err(not_migrated());
    }
    Ok(db)
}

/// The same, with its key.
pub async fn existing_with_key(config: &Config) -> Result<(Db, MasterKey), ConfigError> {
    let db = existing(config).await?;
    let master_key = agree(&db, &config.secret_key, Absent::Refuse).await?;
    Ok((db, master_key))
}

fn not_migrated() -> ConfigError {
    ConfigError::new(
        DATABASE,
        "the database schema is out of date; run `wheelhouse migrate` first",
    )
}

/// Never with the URL, which can contain a password.
fn database(url: &str, what: &str, error: impl Display) -> ConfigError {
    let problem = format!("{what}: {error}").replace(url, "(the URL)");
    ConfigError::new(DATABASE, problem)
}

/// Creates the directory and the file of a SQLite database, readable only by their owner, because it contains personal
/// data. Existing files keep their permissions.
fn make_file_of(database_url: &str) -> Result<(), ConfigError> {
    let Some(path) = setup::sqlite_file(database_url) else {
        return Ok(());
    };
    let explain = |error| {
        let what = format!("cannot create the file {}", path.display());
        database(database_url, &what, error)
    };
    make_private_folder(&path).map_err(explain)?;
    // SQLite gives its journals the permissions of the file.
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(explain)?;
    Ok(())
}

/// Creates the parent directory of a file, accessible only to its owner.
fn make_private_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder),
        _ => Ok(()),
    }
}

/// The key of this database, which must be the configured one. A database without a key adopts the configured key; a
/// missing key is only created for such a database, and only if `absent` allows it.
async fn agree(db: &Db, source: &KeySource, absent: Absent) -> Result<MasterKey, ConfigError> {
    // Under the lock: another process may have just created it.
    let key = find_key(source)?;
    let check = key_check::check(db, key.as_ref()).await;
    let check = check.map_err(|error| {
        ConfigError::new(DATABASE, format!("cannot read the database: {error}"))
    })?;
    match (check, key, source) {
        (KeyCheck::Right | KeyCheck::Free, Some(key), _) => Ok(key),
        (KeyCheck::Free, None, KeySource::File(path)) if absent == Absent::Make => make_key(path),
        (_, key, source) => Err(wrong_key(source, key.is_some())),
    }
}

fn wrong_key(source: &KeySource, found: bool) -> ConfigError {
    let what = match source {
        KeySource::Given(_) => {
            "is not the key of this database. Set it to the key that the database was created with"
                .to_owned()
        }
        KeySource::File(path) if found => format!(
            "is not set, and the key in {} is not the key of this database. Put the right key there, or set the variable \
             to it",
            absolute(path)
        ),
        KeySource::File(path) => format!(
            "is not set, and there is no key in {}, but the database has a key. Put that key there, or set the variable \
             to it",
            absolute(path)
        ),
    };
    let problem = format!(
        "{what}. Every process of this database uses the same key, and your backup should contain it."
    );
    ConfigError::new(KEY, problem)
}

/// The key, if there is one.
fn find_key(source: &KeySource) -> Result<Option<MasterKey>, ConfigError> {
    let path = match source {
        KeySource::Given(master_key) => return Ok(Some(master_key.clone())),
        KeySource::File(path) => path,
    };
    match std::fs::read_to_string(path) {
        Ok(text) => MasterKey::parse(&text)
            .map(Some)
            .map_err(|problem| unusable(path, &problem)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn unusable(path: &Path, problem: &dyn Display) -> ConfigError {
    let problem = format!(
        "is not set, and the key file {} cannot be used: {problem}",
        absolute(path)
    );
    ConfigError::new(KEY, problem)
}

/// Creates a key file that only its owner can read, or uses one created at the same moment: one directory can contain
/// several databases.
fn make_key(path: &Path) -> Result<MasterKey, ConfigError> {
    let text = MasterKey::generate();
    match write_key(path, &text) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unusable(path, &error)),
    }
    let found = find_key(&KeySource::File(path.to_owned()))?;
    found.ok_or_else(|| unusable(path, &"another process deleted it"))
}

/// Atomic: half a key after a crash would be useless.
fn write_key(path: &Path, text: &str) -> io::Result<()> {
    make_private_folder(path)?;
    let draft = path.with_extension(format!("{:08x}.tmp", random_mark()));
    let written = write_draft(&draft, text).and_then(|()| put_in_place(&draft, path));
    let _ = std::fs::remove_file(&draft);
    written?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Never overwrites an existing key.
fn put_in_place(draft: &Path, path: &Path) -> io::Result<()> {
    match std::fs::hard_link(draft, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists && !path.exists() => {
            // Some file systems do not support hard links.
            std::fs::rename(draft, path)
        }
        done => done,
    }
}

fn write_draft(draft: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// An absolute path, because commands run in different directories.
fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| PathBuf::from(path))
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn rights(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("wheelhouse-{name}-{}", std::process::id()))
    }

    #[test]
    fn database_and_key_are_for_their_owner_alone() {
        let root = folder("rights");
        let deep = root.join("data/deep");
        let (database, key) = (deep.join("ctx.db"), deep.join("keys/secret.key"));
        for spelling in ["sqlite://", "sqlite:"] {
            make_file_of(&format!("{spelling}{}?mode=rwc", database.display())).unwrap();
            assert_eq!(rights(&database), 0o600, "{spelling}");
            std::fs::remove_file(&database).unwrap();
        }
        make_file_of(&format!("sqlite://{}?mode=rwc", database.display())).unwrap();
        make_key(&key).unwrap();
        for made in [root.as_path(), &deep, &deep.join("keys")] {
            assert_eq!(rights(made), 0o700, "{}", made.display());
        }
        for made in [&database, &key] {
            assert_eq!(rights(made), 0o600, "{}", made.display());
        }
        std::fs::write(&database, "kept").unwrap();
        make_file_of(&format!("sqlite://{}", database.display())).unwrap();
        assert_eq!(std::fs::read_to_string(&database).unwrap(), "kept");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn keys_made_at_once_are_one_key() {
        let root = folder("one-key");
        let path = root.join("secret.key");
        let tags: Vec<String> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| make_key(&path).unwrap()))
                .collect();
            let keys = makers.into_iter().map(|maker| maker.join().unwrap());
            keys.map(|key| key.mac("test", b"same")).collect()
        });
        assert!(tags.iter().all(|tag| *tag == tags[0]));
        let left = std::fs::read_dir(&root).unwrap().count();
        assert_eq!(left, 1, "drafts are taken away");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn no_url_is_printed() {
        let url = "postgres://wheelhouse:pass/word@db/wheelhouse";
        let error = database(url, "cannot open", format!("the string '{url}' is bad"));
        assert!(!error.to_string().contains("word"), "{error}");
    }
}

//! What has to be there before anything runs: the database, and the key that it belongs to. Each is made once, by a
//! command that is meant to make it; every other command says what is missing.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Result;
use app::db::key_check::{self, KeyCheck};
use app::db::{Db, setup};
use app::master_key::{MasterKey, random_mark};

use crate::config::{Config, ConfigError, KeySource};

const KEY: &str = "WHEELHOUSE_SECRET_KEY";
const DATABASE: &str = "WHEELHOUSE_DATABASE_URL";

/// What becomes of a database or a key that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    Make,
    Refuse,
}

/// Opens the database, made and brought up to date if need be, with the key that it belongs to. Other processes that do
/// the same at the same time wait.
pub async fn set_up(config: &Config) -> Result<(Db, MasterKey), ConfigError> {
    let url = &config.database_url;
    // A key that cannot be used is said before anything is made.
    find_key(&config.secret_key)?;
    make_file_of(url)?;
    let db = Db::connect(url)
        .await
        .map_err(|error| database(url, "cannot open the database", error))?;
    let not_set_up = |error| database(url, "cannot bring the schema up to date", error);
    let lock = db.lock_setup().await.map_err(not_set_up)?;
    // Before the schema is touched, which another key may be none of the business of.
    let master_key = agree(&db, &config.secret_key, Absent::Make).await?;
    db.migrate_under(&lock).await.map_err(not_set_up)?;
    key_check::record(&db, &master_key)
        .await
        .map_err(not_set_up)?;
    lock.release().await.map_err(not_set_up)?;
    Ok((db, master_key))
}

/// Opens a database that is there and up to date.
pub async fn existing(config: &Config) -> Result<Db, ConfigError> {
    let url = &config.database_url;
    let cannot_open = |error| database(url, "cannot open the database", error);
    if let Some(file) = setup::sqlite_file(url) {
        if !file.exists() {
            let problem = format!(
                "there is no database at {}; `wheelhouse serve`, `migrate` and `create-owner` make one",
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

/// The same, with the key that it belongs to.
pub async fn existing_with_key(config: &Config) -> Result<(Db, MasterKey), ConfigError> {
    let db = existing(config).await?;
    let master_key = agree(&db, &config.secret_key, Absent::Refuse).await?;
    Ok((db, master_key))
}

fn not_migrated() -> ConfigError {
    ConfigError::new(
        DATABASE,
        "the database lacks tables of this version; run `wheelhouse migrate` first",
    )
}

/// Never with the URL: a password may stand in it.
fn database(url: &str, what: &str, error: impl Display) -> ConfigError {
    let problem = format!("{what}: {error}").replace(url, "(the URL)");
    ConfigError::new(DATABASE, problem)
}

/// Makes the folder and the file of an SQLite database for its owner's eyes alone: everybody's addresses stand in it.
/// What is there already keeps the rights that the operator gave it.
fn make_file_of(database_url: &str) -> Result<(), ConfigError> {
    let Some(path) = setup::sqlite_file(database_url) else {
        return Ok(());
    };
    let explain = |error| {
        let what = format!("cannot make the file {}", path.display());
        database(database_url, &what, error)
    };
    make_private_folder(&path).map_err(explain)?;
    // SQLite gives its journals the rights of the file.
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(explain)?;
    Ok(())
}

/// Makes the folder that a file is to lie in, for its owner alone.
fn make_private_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder),
        _ => Ok(()),
    }
}

/// The key that this database belongs to, which is the one that was given. One that is given for a database that belongs
/// to none yet becomes its own; one that is not there is made for such a database alone, if it may be.
async fn agree(db: &Db, source: &KeySource, absent: Absent) -> Result<MasterKey, ConfigError> {
    // Under the lock: another process may have made it a moment ago.
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
            "is not the key that this database was set up with. Set it to that key".to_owned()
        }
        KeySource::File(path) if found => format!(
            "is not set, and the key in {} is not the one that this database was set up with. Put that key there, or \
             set the variable to it",
            absolute(path)
        ),
        KeySource::File(path) => format!(
            "is not set, and there is no key in {}, but the database belongs to a key. Put that key there, or set the \
             variable to it",
            absolute(path)
        ),
    };
    let problem = format!(
        "{what}: every process on this database has the same key, and your backup should hold it."
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

/// Makes a key for the owner's eyes alone, or takes one that was made at the same moment: beside one folder there may
/// be several databases.
fn make_key(path: &Path) -> Result<MasterKey, ConfigError> {
    let text = MasterKey::generate();
    match write_key(path, &text) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unusable(path, &error)),
    }
    let found = find_key(&KeySource::File(path.to_owned()))?;
    found.ok_or_else(|| unusable(path, &"it is gone again"))
}

/// Whole or not at all: half a key, after a crash, would be none.
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

/// Never over a key that is there.
fn put_in_place(draft: &Path, path: &Path) -> io::Result<()> {
    match std::fs::hard_link(draft, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists && !path.exists() => {
            // Some file systems have no links.
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

/// A path as it reads from everywhere: commands are run in many folders.
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

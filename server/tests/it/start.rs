//! Starting: several processes at once, the key that a database belongs to, and commands that must make nothing.

use std::path::Path;
use std::process::{Child, Command, Output};

use store::db::sea_orm::{ConnectionTrait, EntityTrait, PaginatorTrait};
use store::db::{Db, entity};

use crate::cli::{Serving, refuses, said, wheelhouse};
use crate::support::{Database, Folder, Kind};

const KEY: &str = "WHEELHOUSE_SECRET_KEY";
const DATABASE: &str = "WHEELHOUSE_DATABASE_URL";
/// How many processes start at once.
const MANY: usize = 4;

/// The program in this folder, on this database.
fn on(database: &Database, folder: &Path) -> Command {
    let mut command = wheelhouse(folder);
    command.env(DATABASE, &database.url);
    command
}

fn key_in(folder: &Path) -> Option<String> {
    std::fs::read_to_string(folder.join("data/secret.key")).ok()
}

fn succeeds(output: &Output) {
    let (code, error) = said(output);
    assert_eq!(code, Some(0), "{error}");
}

/// Every command that uses the key, and that must say that it is the wrong one.
const USING_THE_KEY: [&[&str]; 5] = [
    &["serve"],
    &["serve", "--demo"],
    &["migrate"],
    &["create-key", "--workspace", "acme", "--name", "Importer"],
    &[
        "refund-payment",
        "--payment",
        "pay_01h455vb4pex5vsknk084sn02q",
    ],
];

/// Every command that may make neither a database nor a key.
const MAKING_NOTHING: [&[&str]; 4] = [
    &["verify-ledger"],
    &["create-key", "--workspace", "acme", "--name", "Importer"],
    &[
        "refund-credits",
        "--entry",
        "cen_01h455vb4pex5vsknk084sn02q",
    ],
    &[
        "refund-payment",
        "--payment",
        "pay_01h455vb4pex5vsknk084sn02q",
    ],
];

async fn all_migrate(kind: Kind) {
    let (database, folder) = (Database::new(kind, None).await, Folder::new());
    let starts: Vec<Child> = (0..MANY)
        .map(|_| on(&database, folder.path()).arg("migrate").spawn().unwrap())
        .collect();
    for start in starts {
        succeeds(&start.wait_with_output().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_migrate_at_once_all_succeed_on_sqlite() {
    all_migrate(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_migrate_at_once_all_succeed_on_postgresql() {
    all_migrate(Kind::Postgres).await;
}

async fn two_serve(kind: Kind) {
    let (database, folder) = (Database::new(kind, None).await, Folder::new());
    let servers: Vec<Serving> = std::thread::scope(|scope| {
        let start = || {
            let mut command = on(&database, folder.path());
            command.env("WHEELHOUSE_DEMO", "true");
            Serving::start(command)
        };
        let starts: Vec<_> = (0..2).map(|_| scope.spawn(start)).collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    for server in &servers {
        let health = on(&database, folder.path())
            .arg("healthcheck")
            .env(
                "WHEELHOUSE_ADDR",
                server.url.strip_prefix("http://").unwrap(),
            )
            .output()
            .unwrap();
        succeeds(&health);
    }
    let db = Db::connect(&database.url).await.unwrap();
    let people = entity::User::find().count(db.read()).await.unwrap();
    assert_eq!(people, 5, "the demo is there once");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_start_at_once_on_an_empty_sqlite_database() {
    two_serve(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_start_at_once_on_an_empty_postgresql_database() {
    two_serve(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_folder_with_another_key_or_none_is_refused() {
    let database = Database::new(Kind::Postgres, None).await;
    let (first, second) = (Folder::new(), Folder::new());
    succeeds(&on(&database, first.path()).arg("migrate").output().unwrap());
    let key = key_in(first.path()).expect("the first makes the key");

    for command in USING_THE_KEY {
        let output = on(&database, second.path()).args(command).output().unwrap();
        refuses(&output, KEY);
        let place = second.path().join("data/secret.key");
        let error = said(&output).1;
        assert!(error.contains(place.to_str().unwrap()), "{error}");
        assert!(!second.path().join("data").exists(), "nothing is made");
        assert!(!error.contains(database.url.as_str()), "{error}");
    }
    // A key of its own from another database, as a file and as the variable.
    let other = Database::new(Kind::Postgres, None).await;
    succeeds(&on(&other, second.path()).arg("migrate").output().unwrap());
    let own = key_in(second.path()).unwrap();
    for command in USING_THE_KEY {
        refuses(
            &on(&database, second.path()).args(command).output().unwrap(),
            KEY,
        );
        let given = on(&database, first.path())
            .args(command)
            .env(KEY, own.trim())
            .output()
            .unwrap();
        refuses(&given, KEY);
        assert!(!said(&given).1.contains(own.trim()), "no key is printed");
    }
    // What uses no key asks for none.
    let proof = on(&database, second.path())
        .arg("verify-ledger")
        .output()
        .unwrap();
    succeeds(&proof);
    // The right one is right from everywhere.
    let shared = on(&database, second.path())
        .arg("migrate")
        .env(KEY, key.trim())
        .output()
        .unwrap();
    succeeds(&shared);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_key_is_not_replaced() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let (database, folder) = (Database::new(kind, None).await, Folder::new());
        let key = if let Kind::Sqlite = kind {
            Path::new(database.url.strip_prefix("sqlite://").unwrap()).with_file_name("secret.key")
        } else {
            folder.path().join("data/secret.key")
        };
        succeeds(
            &on(&database, folder.path())
                .arg("migrate")
                .output()
                .unwrap(),
        );
        std::fs::rename(&key, key.with_extension("kept")).unwrap();
        for command in USING_THE_KEY {
            refuses(
                &on(&database, folder.path()).args(command).output().unwrap(),
                KEY,
            );
            assert!(!key.exists(), "{kind:?}");
        }
        std::fs::rename(key.with_extension("kept"), &key).unwrap();
        succeeds(
            &on(&database, folder.path())
                .arg("migrate")
                .output()
                .unwrap(),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_folders_that_start_at_once_one_gives_the_key() {
    let database = Database::new(Kind::Postgres, None).await;
    let folders: Vec<Folder> = (0..MANY).map(|_| Folder::new()).collect();
    let starts: Vec<Child> = folders
        .iter()
        .map(|folder| {
            let mut command = on(&database, folder.path());
            // Those that wait say so in their log, on the same stream as what they refuse.
            command.arg("migrate").env("WHEELHOUSE_LOG", "error");
            command.spawn().unwrap()
        })
        .collect();
    let ends: Vec<Output> = starts
        .into_iter()
        .map(|start| start.wait_with_output().unwrap())
        .collect();
    let (good, bad): (Vec<_>, Vec<_>) = ends.iter().partition(|end| end.status.success());
    assert_eq!((good.len(), bad.len()), (1, MANY - 1));
    for end in bad {
        refuses(end, KEY);
    }
    let keys = folders
        .iter()
        .filter(|folder| key_in(folder.path()).is_some());
    assert_eq!(keys.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_before_the_check_value_keeps_its_key() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let (database, folder) = (Database::new(kind, None).await, Folder::new());
        let own = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
        let other = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
        let mut command = on(&database, folder.path());
        command.env("WHEELHOUSE_DEMO", "true").env(KEY, own);
        drop(Serving::start(command));
        // As the version before left it.
        let db = Db::connect(&database.url).await.unwrap();
        let tx = db.begin().await.unwrap();
        for sql in [
            "DROP TABLE installation",
            "DROP TABLE flashes",
            "DELETE FROM seaql_migrations WHERE version = 'm0015_installation'",
        ] {
            tx.execute_unprepared(sql).await.unwrap();
        }
        tx.commit().await.unwrap();
        let migrate = |key: Option<&str>| {
            let mut command = on(&database, folder.path());
            if let Some(key) = key {
                command.env(KEY, key);
            }
            command.arg("migrate").output().unwrap()
        };
        refuses(&migrate(None), KEY);
        refuses(&migrate(Some(other)), KEY);
        assert!(
            !db.is_migrated().await.unwrap(),
            "with another key the schema is left alone"
        );
        succeeds(&migrate(Some(own)));
        assert!(db.is_migrated().await.unwrap());
        refuses(&migrate(Some(other)), KEY);
        db.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_on_what_is_not_there_make_nothing() {
    let folder = Folder::new();
    let mistyped = folder.path().join("dtaa/wheelhouse.db");
    let empty = Database::new(Kind::Postgres, None).await;
    for command in MAKING_NOTHING {
        for url in [
            format!("sqlite://{}", mistyped.display()),
            format!("sqlite:{}", mistyped.display()),
            "sqlite://wheelhouse.db".to_owned(),
            "sqlite::memory:".to_owned(),
            empty.url.clone(),
        ] {
            let output = wheelhouse(folder.path())
                .args(command)
                .env(DATABASE, &url)
                .output()
                .unwrap();
            refuses(&output, DATABASE);
            let error = said(&output).1;
            assert!(error.contains("migrate"), "it says what to do: {error}");
            let left = std::fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(left, 0, "{command:?} {url}");
        }
    }
    let db = Db::connect(&empty.url).await.unwrap();
    assert!(!db.is_migrated().await.unwrap());
    let tables = "SELECT 1 FROM pg_tables WHERE schemaname = 'public'";
    let tables = store::db::sea_orm::Statement::from_string(db.backend(), tables);
    assert!(db.read().query_all_raw(tables).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_somebody_elses_is_left_as_it_is() {
    let folder = Folder::new();
    for (name, make) in [
        ("empty.db", None),
        ("notes.db", Some("CREATE TABLE notes (id)")),
    ] {
        let file = folder.path().join(name);
        let url = format!("sqlite://{}", file.display());
        if let Some(sql) = make {
            let made = store::db::sea_orm::Database::connect(format!("{url}?mode=rwc"))
                .await
                .unwrap();
            made.execute_unprepared(sql).await.unwrap();
            made.close().await.unwrap();
        } else {
            std::fs::write(&file, "").unwrap();
        }
        let before = std::fs::read(&file).unwrap();
        for command in MAKING_NOTHING {
            let output = wheelhouse(folder.path())
                .args(command)
                .env(DATABASE, &url)
                .output()
                .unwrap();
            refuses(&output, DATABASE);
        }
        assert_eq!(std::fs::read(&file).unwrap(), before, "{name}");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

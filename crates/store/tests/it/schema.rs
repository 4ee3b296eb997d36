//! Holds the migrations against the entities: every column an entity names is there, with its kind and nullability,
//! and every column that is there is named.

use std::collections::BTreeMap;

use sea_orm::{
    ColumnTrait, ColumnType, ConnectionTrait, DbBackend, EntityTrait, Iterable, Statement,
};
use store::db::{Db, entity};

use crate::support::{Kind, database_url};

/// Column, kind, and whether it may be null.
type Columns = BTreeMap<String, (String, bool)>;

fn of_entity<E: EntityTrait>(_: E) -> (String, Columns) {
    let columns = E::Column::iter().map(|column| {
        let def = column.def();
        let kind = match def.get_column_type() {
            ColumnType::Uuid => "uuid",
            ColumnType::String(_) | ColumnType::Text => "text",
            ColumnType::BigInteger => "bigint",
            ColumnType::Integer => "integer",
            ColumnType::Boolean => "boolean",
            ColumnType::Json | ColumnType::JsonBinary => "json",
            ColumnType::VarBinary(_) | ColumnType::Blob | ColumnType::Binary(_) => "bytes",
            other => panic!("{other:?}"),
        };
        let name = sea_orm::Iden::to_string(&column);
        (name, (kind.to_owned(), def.is_null()))
    });
    (E::default().table_name().to_owned(), columns.collect())
}

async fn of_database(db: &Db, table: &str) -> Columns {
    let (sql, name, kind, null) = match db.backend() {
        DbBackend::Postgres => (
            format!(
                "SELECT column_name, udt_name, is_nullable = 'YES' AS nullable FROM information_schema.columns WHERE table_name = '{table}'"
            ),
            "column_name",
            "udt_name",
            "nullable",
        ),
        _ => (
            format!(
                "SELECT name, type, \"notnull\" = 0 AND pk = 0 AS nullable FROM pragma_table_info('{table}')"
            ),
            "name",
            "type",
            "nullable",
        ),
    };
    let rows = db
        .read()
        .query_all_raw(Statement::from_string(db.backend(), sql))
        .await
        .unwrap();
    rows.iter()
        .map(|row| {
            let kind = row.try_get::<String>("", kind).unwrap().to_lowercase();
            let kind = match kind.as_str() {
                "uuid_text" => "uuid",
                "jsonb" | "jsonb_text" => "json",
                "bytea" | "blob" => "bytes",
                "int8" => "bigint",
                "int4" => "integer",
                "bool" => "boolean",
                other => other,
            };
            (
                row.try_get("", name).unwrap(),
                (kind.to_owned(), row.try_get::<bool>("", null).unwrap()),
            )
        })
        .collect()
}

async fn check(kind: Kind) {
    let (url, folder) = database_url(kind).await;
    let db = Db::connect(&url).await.unwrap();
    assert!(!db.is_migrated().await.unwrap());
    db.migrate().await.unwrap();
    db.migrate().await.unwrap();
    assert!(db.is_migrated().await.unwrap());
    for (table, expected) in [
        of_entity(entity::ApiKey),
        of_entity(entity::ApiKeyScopeUse),
        of_entity(entity::ApiRequest),
        of_entity(entity::BillingDetails),
        of_entity(entity::Contact),
        of_entity(entity::CreditAccount),
        of_entity(entity::CreditDailyStat),
        of_entity(entity::CreditEntry),
        of_entity(entity::CreditGrant),
        of_entity(entity::CreditHold),
        of_entity(entity::CreditAllocation),
        of_entity(entity::CreditTopUp),
        of_entity(entity::Payment),
        of_entity(entity::PaymentEvent),
        of_entity(entity::PaymentReversal),
        of_entity(entity::Process),
        of_entity(entity::SimulatedCard),
        of_entity(entity::SimulatedCheckout),
        of_entity(entity::SimulatedEvent),
        of_entity(entity::Delivery),
        of_entity(entity::DeliveryAttempt),
        of_entity(entity::EmailChange),
        of_entity(entity::EmailWindow),
        of_entity(entity::Event),
        of_entity(entity::Flash),
        of_entity(entity::HeldEmail),
        of_entity(entity::IdempotencyKey),
        of_entity(entity::Installation),
        of_entity(entity::Invitation),
        of_entity(entity::Invoice),
        of_entity(entity::KnownNetwork),
        of_entity(entity::OutboxEmail),
        of_entity(entity::Membership),
        of_entity(entity::Notification),
        of_entity(entity::NotificationPreference),
        of_entity(entity::Session),
        of_entity(entity::SlugClaim),
        of_entity(entity::StripeCustomer),
        of_entity(entity::Subscription),
        of_entity(entity::Token),
        of_entity(entity::User),
        of_entity(entity::Webhook),
        of_entity(entity::WebhookHourlyStat),
        of_entity(entity::Workspace),
        of_entity(entity::WorkspaceEmailWindow),
    ] {
        assert_eq!(of_database(&db, &table).await, expected, "{table}");
    }
    if let Some(folder) = folder {
        let _ = std::fs::remove_dir_all(folder);
    }
}

#[tokio::test]
async fn sqlite() {
    check(Kind::Sqlite).await;
}

#[tokio::test]
async fn postgres() {
    check(Kind::Postgres).await;
}

/// SQLite before 3.51.3 can corrupt a WAL database. The version is the one that sqlx brings.
#[tokio::test]
async fn sqlite_is_new_enough_and_safe() {
    let (url, folder) = database_url(Kind::Sqlite).await;
    let db = Db::connect(&url).await.unwrap();
    let ask = async |sql: &str| {
        let row = db
            .read()
            .query_one_raw(Statement::from_string(DbBackend::Sqlite, sql))
            .await
            .unwrap()
            .unwrap();
        row.try_get_by_index::<String>(0)
            .or_else(|_| row.try_get_by_index::<i64>(0).map(|n| n.to_string()))
            .unwrap()
    };
    let version = ask("SELECT sqlite_version()").await;
    let parts: Vec<u32> = version
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    assert!(parts >= vec![3, 51, 3], "{version}");
    assert_eq!(ask("PRAGMA journal_mode").await, "wal");
    assert_eq!(ask("PRAGMA foreign_keys").await, "1");
    assert_eq!(ask("PRAGMA synchronous").await, "2");
    std::fs::remove_dir_all(folder.unwrap()).unwrap();
}

/// What is committed stands in SQLite's log first. Copied, it stands in the file, while the one that writes goes on.
#[tokio::test]
async fn sqlites_log_is_copied_while_a_transaction_is_open() {
    let (url, folder) = database_url(Kind::Sqlite).await;
    let file = url.strip_prefix("sqlite://").unwrap();
    let db = Db::connect(&url).await.unwrap();
    db.migrate().await.unwrap();
    db.checkpoint().await.unwrap();
    let size = || std::fs::metadata(file).unwrap().len();
    let tables = size();
    let tx = db.begin().await.unwrap();
    let rows = "CREATE TABLE filled AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
                SELECT i, hex(randomblob(100)) AS text FROM n";
    tx.execute_unprepared(rows).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(size(), tables, "it stands in the log alone");
    let tx = db.begin().await.unwrap();
    db.checkpoint().await.unwrap();
    assert!(size() >= tables + 200_000, "{}", size());
    tx.execute_unprepared("DELETE FROM filled").await.unwrap();
    tx.commit().await.unwrap();
    std::fs::remove_dir_all(folder.unwrap()).unwrap();
}

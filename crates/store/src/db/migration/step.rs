//! How a step of the migration is declared and run.

use sea_orm_migration::SchemaManager;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr};

/// Runs `sql` with the database's own type names filled in.
pub(super) async fn run(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let (uuid, bytes, json, now) = match connection.get_database_backend() {
        DbBackend::Postgres => (
            "uuid",
            "bytea",
            "jsonb",
            "CAST(extract(epoch FROM now()) * 1000 AS bigint)",
        ),
        _ => (
            "uuid_text",
            "blob",
            "jsonb_text",
            "(CAST(strftime('%s', 'now') AS integer) * 1000)",
        ),
    };
    let sql = sql
        .replace("{uuid}", uuid)
        .replace("{bytes}", bytes)
        .replace("{json}", json)
        .replace("{now}", now);
    connection.execute_unprepared(&sql).await.map(|_| ())
}

/// Declares a step from its SQL. There is no way down: going back is restoring the backup made before going up.
macro_rules! step {
    ($name:literal, $sql:expr) => {
        pub struct Migration;

        impl sea_orm_migration::MigrationName for Migration {
            fn name(&self) -> &str {
                $name
            }
        }

        #[sea_orm_migration::sea_orm::prelude::async_trait::async_trait]
        impl sea_orm_migration::MigrationTrait for Migration {
            async fn up(
                &self,
                manager: &sea_orm_migration::SchemaManager,
            ) -> Result<(), sea_orm_migration::sea_orm::DbErr> {
                super::step::run(manager, $sql).await
            }
        }
    };
}
pub(super) use step;

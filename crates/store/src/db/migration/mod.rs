//! The schema, written by hand: one file a step, applied in order, never edited once released.
//!
//! Each step is SQL that both databases understand, with four words left open because they say them differently:
//! the types `{uuid}`, `{bytes}` and `{json}`, and the moment `{now}`. Times are `bigint` milliseconds since the Unix epoch. A test holds the result
//! against the entities.

mod m0001_people;
mod m0002_workspaces;
mod m0003_events;
mod m0004_contacts;
mod m0005_api_keys;
mod m0006_webhooks;
mod m0007_known_networks;
mod m0008_credits;
mod m0009_payments;
mod m0010_low_credits;
mod m0011_subscriptions;
mod m0012_invoices;
mod m0013_stripe;
mod m0014_top_up;
mod m0015_installation;
mod m0016_email_windows;
mod m0017_processes;
mod m0018_reversals;
mod m0019_standard_names;

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager};

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_people::Migration),
            Box::new(m0002_workspaces::Migration),
            Box::new(m0003_events::Migration),
            Box::new(m0004_contacts::Migration),
            Box::new(m0005_api_keys::Migration),
            Box::new(m0006_webhooks::Migration),
            Box::new(m0007_known_networks::Migration),
            Box::new(m0008_credits::Migration),
            Box::new(m0009_payments::Migration),
            Box::new(m0010_low_credits::Migration),
            Box::new(m0011_subscriptions::Migration),
            Box::new(m0012_invoices::Migration),
            Box::new(m0013_stripe::Migration),
            Box::new(m0014_top_up::Migration),
            Box::new(m0015_installation::Migration),
            Box::new(m0016_email_windows::Migration),
            Box::new(m0017_processes::Migration),
            Box::new(m0018_reversals::Migration),
            Box::new(m0019_standard_names::Migration),
        ]
    }
}

/// Runs `sql` with the database's own type names filled in.
async fn run(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
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
                super::run(manager, $sql).await
            }
        }
    };
}
use step;

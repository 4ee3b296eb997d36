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
mod step;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

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

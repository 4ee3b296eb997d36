//! Everything that Wheelhouse keeps in its database. Every function that changes something checks permission, changes
//! rows, and records one event, all in one transaction. No other crate contains SQL.

pub mod account;
pub mod activity;
pub mod api_keys;
pub mod auth;
pub mod billing;
pub mod contacts;
pub mod context;
pub mod credits;
mod csv;
pub mod db;
pub mod demo;
pub mod dispatch;
pub mod email;
pub mod events;
pub mod flashes;
pub mod idempotency;
pub mod inbox;
pub mod leases;
pub mod live;
pub mod master_key;
pub mod members;
pub mod networks;
pub mod notifications;
pub mod outbox;
pub mod overview;
pub mod passwords;
pub mod payments;
pub mod rate_limit;
pub mod settlement;
pub mod webhooks;
pub mod workspace;

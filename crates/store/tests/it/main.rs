//! Tests of the stores, on SQLite and on PostgreSQL, in one binary. PostgreSQL is the server that
//! `WHEELHOUSE_TEST_POSTGRES_URL` names; `bin/test` starts one. Without it those tests fail: none is skipped.

mod account;
mod api_keys;
mod billing;
mod billing_model;
mod confirmation;
mod connections;
mod contacts;
mod credits;
mod credits_model;
mod demo;
mod flashes;
mod inbox;
mod invitations;
mod members;
mod notifications;
mod payments;
mod reauth;
mod reversals;
mod schema;
mod secrets;
mod session;
mod setup;
mod support;
mod top_up;
mod webhooks;
mod workspace;

//! Everything that the server and the browser share.
//!
//! Read it in this order: [`domain`] and [`catalog`] are the trade's words; [`session`] says who is there;
//! [`settings`] holds a folder for each section of the settings area, from its rules to its page; [`ui`] is what pages
//! are made of; [`shell`] puts them into a document. Behind the feature `ssr` stand the stores, which speak to the
//! database ([`db`]) and to nothing else, and [`events`], from which everything that follows a change is derived.

#![recursion_limit = "512"]

pub mod billing;
pub mod catalog;
mod commands;
pub mod contacts;
pub mod domain;
mod error_report;
pub mod form;
pub mod inbox;
pub mod live;
pub mod outbox;
pub mod overview;
pub mod pages;
pub mod payments;
pub mod rpc;
pub mod session;
pub mod settings;
pub mod shell;
pub mod ui;

#[cfg(feature = "ssr")]
pub mod context;
#[cfg(feature = "ssr")]
mod csv;
#[cfg(feature = "ssr")]
pub mod db;
#[cfg(feature = "ssr")]
pub mod email;
#[cfg(feature = "ssr")]
pub mod events;
#[cfg(feature = "ssr")]
pub mod leases;
#[cfg(feature = "ssr")]
pub mod master_key;
#[cfg(feature = "ssr")]
pub mod passwords;
#[cfg(feature = "ssr")]
pub mod rate_limit;

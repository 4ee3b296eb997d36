//! The pages and their server functions. Compiled twice: for the server with the feature `ssr`, and for the browser with
//! the feature `hydrate`.
//!
//! [`settings`] holds a folder for each section of the settings area; [`ui`] contains what pages are made of; [`shell`]
//! puts them into a document. A server function gets the caller, parses its arguments, and calls the store.

#![recursion_limit = "512"]

mod commands;
pub mod inbox;
pub mod outbox;
pub mod overview;
pub mod pages;
pub mod payments;
pub mod rpc;
pub mod session;
pub mod settings;
pub mod shell;
pub mod ui;

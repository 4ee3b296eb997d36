//! The `wheelhouse` program: configuration, HTTP, and the workers that carry out what a change has caused.

pub mod api;
pub mod cli;
pub mod config;
pub mod http;
pub mod metrics;
pub mod options;
pub mod payments;
pub mod serve;
pub mod start;
pub mod state;
mod tls;
pub mod work;

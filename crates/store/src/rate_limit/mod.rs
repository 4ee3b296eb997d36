//! Rate limits for sign-ins, emailed links and similar actions ([`auth`]), and for the public API ([`api`]).

pub mod api;
pub mod auth;
pub mod network;

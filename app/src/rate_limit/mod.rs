//! Limits on how often something can be asked for: sign-ins, links and the like ([`auth`]), and the public API ([`api`]).

pub mod api;
pub mod auth;

//! Tests of the program as a whole: requests through the real router and its layers, and the workers.

mod access;
mod dispatch;
mod doors;
mod kill;
mod mail;
mod support;
mod webhooks;

//! Tests of the program as a whole: requests through the real router and its layers, and the workers.

mod access;
mod api;
mod api_credits;
mod api_keys;
mod api_limits;
mod api_numbers;
mod api_webhooks;
mod both;
mod credits;
mod dispatch;
mod doors;
mod kill;
mod live;
mod mail;
mod network;
mod program;
mod relay;
mod round_robin;
mod start;
mod stripe;
mod stripe_reversals;
mod stripe_stand_in;
mod support;
mod unreadable;
mod webhooks;

//! The workers: what follows a change, after it. Each is a loop that a crash may end anywhere without harm.

pub mod dispatch;
pub mod housekeeping;
pub mod mail;
mod relay;
pub mod webhooks;

use std::sync::Arc;

use anyhow::Result;
use app::house::House;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;

/// Starts every worker; they end when `stop` is cancelled.
pub fn start(
    workers: &TaskTracker,
    house: &House,
    config: &Config,
    stop: &CancellationToken,
) -> Result<()> {
    workers.spawn(dispatch::run(house.clone(), stop.clone()));
    workers.spawn(housekeeping::run(house.clone(), stop.clone()));
    if let Some(post) = mail::Post::new(config)? {
        workers.spawn(mail::run(house.clone(), post, stop.clone()));
    }
    let courier =
        webhooks::attempt::Courier::new(Arc::new(webhooks::dial::System), house.webhooks().clone());
    let settings = webhooks::Settings {
        courier,
        waits: config.webhook_waits.clone().into(),
    };
    workers.spawn(webhooks::run(house.clone(), settings, stop.clone()));
    if config.database_url.starts_with("postgres") {
        workers.spawn(relay::run(
            house.clone(),
            config.database_url.clone(),
            stop.clone(),
        ));
    }
    Ok(())
}

//! Payments under way: the simulated provider's bank and what it has to tell, subscriptions that are due, and asking
//! again about what was not told.

use std::time::Duration;

use app::billing::engine;
use app::domain::{AppError, Timestamp};
use app::house::House;
use app::payments::{simulated, store};
use app::settings::credits::top_up;
use tokio_util::sync::CancellationToken;

use super::pause;

const EVERY: Duration = Duration::from_secs(2);

pub async fn run(house: House, stop: CancellationToken) {
    while pause(EVERY, &stop).await {
        // What fails is logged where it happens and tried again.
        if let Err(error) = round(&house, Timestamp::now()).await {
            tracing::warn!(%error, "payments under way could not all be seen to");
        }
    }
}

/// Sees to everything that is due by `now`.
pub async fn round(house: &House, now: Timestamp) -> Result<(), AppError> {
    simulated::pass(house, now).await?;
    simulated::tell(house, now).await?;
    engine::pass(house, now).await?;
    top_up::pass(house, now).await?;
    store::look_again(house, now).await?;
    house.payments().forget_gone(house).await?;
    Ok(())
}

//! The webhook sender. It claims due deliveries in batches, or gets them directly from the dispatcher, sends them
//! immediately and concurrently, and writes outcomes in batches. It keeps sending while the database works. After a
//! crash, leases expire: a delivery may be sent twice under the same ID, but is never lost.

pub mod attempt;
mod claims;
pub mod connector;
mod endpoints;
mod invalidations;
mod outcomes;
mod poll_state;
mod sender;
mod settings;

pub use settings::{QueueClass, Settings};

use std::time::Duration;

use domain::AppError;
use store::context::AppContext;
use store::webhooks::direct_dispatch::DirectDispatch;
use tokio_util::sync::CancellationToken;

use self::sender::Sender;

/// How long to collect ended attempts and due deliveries before the next turn: a turn costs about the same for one
/// delivery as for many.
const GATHER: Duration = Duration::from_millis(5);
/// The same for a sender of failing endpoints only: between its turns, other senders can write.
const SUSPECT_GATHER: Duration = Duration::from_millis(20);
/// Longer than any deferral at a fast endpoint that has no room.
const SHORT_DEFERRAL: Duration = Duration::from_millis(150);
/// How long to wait after a database error.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Runs until `stop`, and then until no delivery is in progress. The dispatcher of this process passes deliveries to
/// send immediately through `direct_dispatch`.
pub async fn run(
    ctx: AppContext,
    settings: Settings,
    queue_class: QueueClass,
    direct_dispatch: DirectDispatch,
    stop: CancellationToken,
) {
    let mut sender = Sender::new(ctx.clone(), settings, queue_class, direct_dispatch);
    let mut commits = ctx.db().event_bus().commits();
    loop {
        // Before polling, so that a commit in between is not missed.
        commits.mark_unchanged();
        sender.take_back_all();
        let busy = match sender.turn(!stop.is_cancelled()).await {
            Ok(busy) => busy,
            Err(error) => {
                tracing::warn!(%error, "deliveries could not be claimed or written down; it will be tried again");
                sender.meanwhile(tokio::time::sleep(AFTER_FAILURE)).await;
                false
            }
        };
        if stop.is_cancelled() && sender.is_done() {
            return;
        }
        if busy {
            let gather = match queue_class {
                QueueClass::Failing => SUSPECT_GATHER,
                QueueClass::Healthy | QueueClass::Both => GATHER,
            };
            sender.meanwhile(tokio::time::sleep(gather)).await;
            continue;
        }
        let wait = sender.looked.wait();
        let cue = async {
            tokio::select! {
                // Only once: after `stop`, this branch would always be ready.
                () = stop.cancelled(), if !stop.is_cancelled() => {}
                _ = commits.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        };
        sender.until(cue).await;
    }
}

/// Sends until no delivery is due or in progress; tests call this instead of waiting.
pub async fn send_due(ctx: &AppContext, settings: &Settings) -> Result<(), AppError> {
    let direct_dispatch = DirectDispatch::default();
    let mut sender = Sender::new(
        ctx.clone(),
        settings.clone(),
        QueueClass::Both,
        direct_dispatch,
    );
    let mut quiet = false;
    loop {
        sender.looked.found = true;
        if sender.turn(true).await? {
            quiet = false;
        } else if sender.endpoints.held() > 0 {
            sender.until(std::future::pending()).await;
            quiet = false;
        } else if quiet {
            return Ok(());
        } else {
            // Deliveries that found no room are due again shortly.
            tokio::time::sleep(SHORT_DEFERRAL).await;
            quiet = true;
        }
    }
}

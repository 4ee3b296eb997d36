//! Carries live invalidations between processes that share a PostgreSQL database, over a connection of its own: NOTIFY takes a
//! global lock at commit and has no place in a business transaction.

use std::time::Duration;

use app::context::AppContext;
use app::live::Invalidation;
use sea_orm::prelude::Uuid;
use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use sea_orm::sqlx::{self, PgPool};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

const CHANNEL: &str = "wheelhouse_live";
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How many invalidations travel in one notification. PostgreSQL takes 8,000 bytes, and an invalidation is about 90.
const BATCH_SIZE: usize = 50;
/// How long invalidations are gathered before they travel. Each notification is a commit, and under load most invalidations of the same
/// moment say the same.
const GATHER: Duration = Duration::from_millis(20);

/// What one process tells the others, and which one it is: it has heard it already.
#[derive(Serialize, Deserialize)]
struct Wire {
    from: Uuid,
    /// Nothing: invalidations were lost, and everybody has to look at everything.
    invalidations: Option<Vec<Invalidation>>,
}

pub async fn run(ctx: AppContext, url: String, stop: CancellationToken) {
    let me = Uuid::new_v4();
    // Kept when the connection is not: invalidations of the meantime wait in it.
    let mut outgoing = ctx.db().event_bus().outgoing();
    let mut missed = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            result = relay(&ctx, &url, me, &mut outgoing, missed) => {
                if let Err(error) = result {
                    tracing::warn!(%error, "live invalidations between processes are interrupted; trying again");
                }
            }
        }
        missed = true;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY_INTERVAL) => {}
        }
    }
}

async fn relay(
    ctx: &AppContext,
    url: &str,
    me: Uuid,
    outgoing: &mut Receiver<Invalidation>,
    missed: bool,
) -> Result<(), sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).connect(url).await?;
    let mut listener = PgListener::connect(url).await?;
    // A lost connection is told and not mended in silence: what was said meanwhile is lost.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    if missed {
        ctx.db().event_bus().receive_everything();
        send(&pool, me, None).await?;
    }
    loop {
        tokio::select! {
            heard = listener.try_recv() => {
                let heard = heard?.ok_or(sqlx::Error::PoolClosed)?;
                receive(ctx, me, heard.payload());
            }
            said = outgoing.recv() => match said {
                Ok(invalidation) => {
                    tokio::time::sleep(GATHER).await;
                    send(&pool, me, gather(invalidation, outgoing)).await?;
                }
                Err(RecvError::Lagged(_)) => send(&pool, me, None).await?,
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }
}

/// An invalidation, and those that wait behind it, each once; nothing if some of them were lost.
fn gather(first: Invalidation, outgoing: &mut Receiver<Invalidation>) -> Option<Vec<Invalidation>> {
    let mut invalidations = vec![first];
    while invalidations.len() < BATCH_SIZE {
        match outgoing.try_recv() {
            Ok(invalidation) if invalidations.contains(&invalidation) => {}
            Ok(invalidation) => invalidations.push(invalidation),
            Err(TryRecvError::Lagged(_)) => return None,
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    Some(invalidations)
}

fn receive(ctx: &AppContext, me: Uuid, payload: &str) {
    match serde_json::from_str::<Wire>(payload) {
        Ok(wire) if wire.from == me => {}
        Ok(Wire {
            invalidations: Some(invalidations),
            ..
        }) => {
            for invalidation in invalidations {
                ctx.db().event_bus().receive(invalidation);
            }
        }
        Ok(Wire {
            invalidations: None,
            ..
        }) => ctx.db().event_bus().receive_everything(),
        // A process of another version speaks of what this one does not know.
        Err(error) => tracing::debug!(%error, "an invalidation that is none"),
    }
}

async fn send(
    pool: &PgPool,
    from: Uuid,
    invalidations: Option<Vec<Invalidation>>,
) -> Result<(), sqlx::Error> {
    let payload = serde_json::to_string(&Wire {
        from,
        invalidations,
    })
    .expect("an invalidation is JSON");
    sqlx::query("SELECT pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(payload)
        .execute(pool)
        .await
        .map(|_| ())
}

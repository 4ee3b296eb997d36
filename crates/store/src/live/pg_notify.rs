//! Sends live invalidations between processes that share a PostgreSQL database, over a separate connection: NOTIFY
//! takes a global lock at commit and does not belong in a business transaction.

use std::time::Duration;

use sea_orm::prelude::Uuid;
use sea_orm::sqlx::{
    self, PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{
    Receiver,
    error::{RecvError, TryRecvError},
};
use tokio_util::sync::CancellationToken;

use crate::context::AppContext;
use crate::live::Invalidation;

const CHANNEL: &str = "wheelhouse_live";
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How many invalidations one notification carries. PostgreSQL allows 8,000 bytes, and an invalidation takes about 90.
const BATCH_SIZE: usize = 50;
/// How long invalidations are gathered before they are sent. Each notification is a commit, and under load most
/// invalidations of the same moment are duplicates.
const GATHER: Duration = Duration::from_millis(20);

/// A message to the other processes. `from` lets its sender ignore it.
#[derive(Serialize, Deserialize)]
struct Wire {
    from: Uuid,
    /// `None`: invalidations were lost, and everybody must reload everything.
    invalidations: Option<Vec<Invalidation>>,
}

pub async fn run(ctx: AppContext, url: String, stop: CancellationToken) {
    let me = Uuid::new_v4();
    // Outlives the connection: invalidations wait in it while there is none.
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
    // Reports a lost connection instead of silently reconnecting: messages sent meanwhile are lost.
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

/// An invalidation and those queued behind it, without duplicates; `None` if some were lost.
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
        // A process of another version may send messages that this one does not know.
        Err(error) => tracing::debug!(%error, "a malformed invalidation was ignored"),
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

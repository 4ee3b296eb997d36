//! Carries live hints between processes that share a PostgreSQL database, over a connection of its own: NOTIFY takes a
//! global lock at commit and has no place in a business transaction.

use std::time::Duration;

use app::house::House;
use app::live::Hint;
use sea_orm::prelude::Uuid;
use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use sea_orm::sqlx::{self, PgPool};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

const CHANNEL: &str = "wheelhouse_live";
const AGAIN: Duration = Duration::from_secs(2);

/// A hint and which process it is from, which has heard it already.
#[derive(Serialize, Deserialize)]
struct Wire {
    from: Uuid,
    hint: Hint,
}

pub async fn run(house: House, url: String, stop: CancellationToken) {
    let me = Uuid::new_v4();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            result = relay(&house, &url, me) => {
                if let Err(error) = result {
                    tracing::warn!(%error, "live hints between processes are interrupted; trying again");
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn relay(house: &House, url: &str, me: Uuid) -> Result<(), sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(2).connect(url).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    let mut outgoing = house.db().hub().outgoing();
    loop {
        tokio::select! {
            heard = listener.recv() => {
                if let Ok(wire) = serde_json::from_str::<Wire>(heard?.payload())
                    && wire.from != me
                {
                    house.db().hub().receive(wire.hint);
                }
            }
            said = outgoing.recv() => match said {
                Ok(hint) => send(&pool, &Wire { from: me, hint }).await?,
                // Those who fell behind look again by themselves.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }
}

async fn send(pool: &PgPool, wire: &Wire) -> Result<(), sqlx::Error> {
    let payload = serde_json::to_string(wire).expect("a hint is JSON");
    sqlx::query("SELECT pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(payload)
        .execute(pool)
        .await
        .map(|_| ())
}

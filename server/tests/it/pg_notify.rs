//! Invalidations between processes that share a PostgreSQL database.

use std::time::Duration;

use domain::{Topic, UserId};
use store::db::Db;
use store::db::sea_orm::ConnectionTrait;
use store::live::{Invalidation, Received, pg_notify};
use tokio::sync::broadcast::Receiver;
use tokio_util::sync::CancellationToken;

use crate::support::{Kind, Server, context, site};

async fn hears(ear: &mut Receiver<Received>, wanted: Received) -> bool {
    let heard = async {
        loop {
            if ear.recv().await.unwrap() == wanted {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(1), heard)
        .await
        .is_ok()
}

/// Says it again and again until it is heard: a relay needs a moment to connect.
async fn says_until_heard(from: &Db, ear: &mut Receiver<Received>) -> bool {
    for _ in 0..10 {
        let invalidation = Invalidation::user(UserId::new(), Topic::Inbox);
        let mut tx = from.begin().await.unwrap();
        tx.invalidate(invalidation);
        tx.commit().await.unwrap();
        if hears(ear, Received::Invalidation(invalidation)).await {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_reaches_the_other_process_also_after_the_connection_was_lost() {
    let one = Server::new(Kind::Postgres).await;
    let two = context(
        &one.database,
        site(),
        store::rate_limit::auth::AuthLimits::off(),
    )
    .await;
    let stop = CancellationToken::new();
    for ctx in [&one.ctx, &two] {
        let url = one.database.url.clone();
        tokio::spawn(pg_notify::run(ctx.clone(), url, stop.clone()));
    }
    let mut ear = two.db().event_bus().listen();
    assert!(says_until_heard(one.ctx.db(), &mut ear).await);
    let mut own = one.ctx.db().event_bus().listen();
    let invalidation = Invalidation::user(UserId::new(), Topic::Account);
    let mut tx = one.ctx.db().begin().await.unwrap();
    tx.invalidate(invalidation);
    tx.commit().await.unwrap();
    assert!(hears(&mut own, Received::Invalidation(invalidation)).await);
    assert!(
        !hears(&mut own, Received::Invalidation(invalidation)).await,
        "one's own invalidation does not come back"
    );

    let mut ear = two.db().event_bus().listen();
    two.db()
        .read()
        .execute_unprepared(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query ILIKE 'LISTEN%'",
        )
        .await
        .unwrap();
    let told = async { while !hears(&mut ear, Received::Everything).await {} };
    tokio::time::timeout(Duration::from_secs(10), told)
        .await
        .expect("everybody is told to look again");
    assert!(says_until_heard(one.ctx.db(), &mut ear).await);
    stop.cancel();
}

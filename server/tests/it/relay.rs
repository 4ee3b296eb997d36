//! Hints between processes that share a PostgreSQL database.

use std::time::Duration;

use app::db::Db;
use app::domain::UserId;
use app::live::{Heard, Hint, Topic};
use sea_orm::ConnectionTrait;
use tokio::sync::broadcast::Receiver;
use tokio_util::sync::CancellationToken;
use wheelhouse::work::relay;

use crate::support::{Kind, Server, house, site};

async fn hears(ear: &mut Receiver<Heard>, wanted: Heard) -> bool {
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
async fn says_until_heard(from: &Db, ear: &mut Receiver<Heard>) -> bool {
    for _ in 0..10 {
        let hint = Hint::user(UserId::new(), Topic::Inbox);
        let mut tx = from.begin().await.unwrap();
        tx.hint(hint);
        tx.commit().await.unwrap();
        if hears(ear, Heard::Hint(hint)).await {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_reaches_the_other_process_also_after_the_connection_was_lost() {
    let one = Server::new(Kind::Postgres).await;
    let two = house(&one.database, site(), app::limits::Limits::off()).await;
    let stop = CancellationToken::new();
    for house in [&one.house, &two] {
        let url = one.database.url.clone();
        tokio::spawn(relay::run(house.clone(), url, stop.clone()));
    }
    let mut ear = two.db().hub().listen();
    assert!(says_until_heard(one.house.db(), &mut ear).await);
    let mut own = one.house.db().hub().listen();
    let hint = Hint::user(UserId::new(), Topic::Account);
    let mut tx = one.house.db().begin().await.unwrap();
    tx.hint(hint);
    tx.commit().await.unwrap();
    assert!(hears(&mut own, Heard::Hint(hint)).await);
    assert!(
        !hears(&mut own, Heard::Hint(hint)).await,
        "one's own hint does not come back"
    );

    let mut ear = two.db().hub().listen();
    two.db()
        .read()
        .execute_unprepared(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query ILIKE 'LISTEN%'",
        )
        .await
        .unwrap();
    let told = async { while !hears(&mut ear, Heard::Everything).await {} };
    tokio::time::timeout(Duration::from_secs(10), told)
        .await
        .expect("everybody is told to look again");
    assert!(says_until_heard(one.house.db(), &mut ear).await);
    stop.cancel();
}

//! Setting a database up: by one at a time, and with one key.

use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use store::db::key_check::{self, KeyCheck};
use store::db::{Db, entity};
use store::master_key::MasterKey;
use tokio::task::JoinSet;

use crate::support::{ADAM, Kind, TestEnv, both, database_url, info};

/// How many processes start at once.
const MANY: usize = 6;

async fn all_migrate(kind: Kind) {
    let (url, folder) = database_url(kind).await;
    let mut starts = JoinSet::new();
    for _ in 0..MANY {
        let url = url.clone();
        starts.spawn(async move {
            let db = Db::connect(&url).await?;
            db.migrate().await?;
            assert!(db.is_migrated().await?);
            db.close().await
        });
    }
    while let Some(end) = starts.join_next().await {
        end.unwrap().unwrap();
    }
    if let Some(folder) = folder {
        let _ = std::fs::remove_dir_all(folder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_migrate_an_empty_sqlite_database_at_once() {
    all_migrate(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_migrate_an_empty_postgresql_database_at_once() {
    all_migrate(Kind::Postgres).await;
}

fn right() -> MasterKey {
    MasterKey::new([7; 32])
}

fn wrong() -> MasterKey {
    MasterKey::new([8; 32])
}

async fn verdicts(env: &TestEnv) -> [KeyCheck; 3] {
    let db = env.ctx.db();
    let mut verdicts = [KeyCheck::Free; 3];
    for (verdict, key) in verdicts
        .iter_mut()
        .zip([Some(right()), Some(wrong()), None])
    {
        *verdict = key_check::check(db, key.as_ref()).await.unwrap();
    }
    verdicts
}

const OWN: [KeyCheck; 3] = [KeyCheck::Right, KeyCheck::Wrong, KeyCheck::Wrong];

/// Takes away everything that was sealed or promised with the key.
async fn clear(env: &TestEnv) {
    let tx = env.ctx.db().begin().await.unwrap();
    entity::Webhook::delete_many().exec(&tx).await.unwrap();
    entity::OutboxEmail::delete_many().exec(&tx).await.unwrap();
    entity::IdempotencyKey::delete_many()
        .exec(&tx)
        .await
        .unwrap();
    entity::Invitation::delete_many().exec(&tx).await.unwrap();
    tx.commit().await.unwrap();
}

both! {
    async fn who_sets_up_second_waits_for_the_first(env) {
        let db = env.ctx.db();
        let lock = db.lock_setup().await.unwrap();
        // Transactions of its own do not end it.
        let tx = db.begin().await.unwrap();
        tx.commit().await.unwrap();
        let second = tokio::spawn({
            let db = db.clone();
            async move { db.migrate().await }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!second.is_finished());
        lock.release().await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), second).await.expect("it goes on").unwrap().unwrap();
    }

    async fn a_key_is_written_down_once_and_never_in_clear(env) {
        clear(env).await;
        let db = env.ctx.db();
        assert_eq!(verdicts(env).await, [KeyCheck::Free; 3]);
        key_check::record(db, &right()).await.unwrap();
        key_check::record(db, &wrong()).await.unwrap();
        assert_eq!(verdicts(env).await, OWN);
        let row = entity::Installation::find().one(db.read()).await.unwrap().unwrap();
        assert_eq!(row.key_check.len(), 32, "a tag of 192 bits");
    }

    async fn a_database_from_before_the_check_value_knows_its_key_by_what_is_sealed(env) {
        // As an older version left it.
        let tx = env.ctx.db().begin().await.unwrap();
        tx.execute_unprepared("DROP TABLE installation").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(verdicts(env).await, OWN, "by its webhooks");

        clear(env).await;
        store::auth::sessions::request_reset(&env.ctx, &info(), ADAM).await.unwrap();
        assert_eq!(verdicts(env).await, OWN, "by waiting mail");

        // A damaged letter does not condemn the key.
        store::auth::sessions::request_reset(&env.ctx, &info(), crate::support::MIA).await.unwrap();
        let tx = env.ctx.db().begin().await.unwrap();
        entity::OutboxEmail::update_many()
            .col_expr(entity::outbox_email::Column::BodyText, sea_orm::sea_query::Expr::value(b"damaged".to_vec()))
            .filter(entity::outbox_email::Column::Recipient.eq(crate::support::MIA))
            .exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(verdicts(env).await, OWN);
    }

    async fn an_open_invitation_keeps_a_new_key_from_being_made(env) {
        let tx = env.ctx.db().begin().await.unwrap();
        entity::Webhook::delete_many().exec(&tx).await.unwrap();
        entity::OutboxEmail::delete_many().exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(verdicts(env).await, [KeyCheck::Free, KeyCheck::Free, KeyCheck::Wrong]);
    }
}

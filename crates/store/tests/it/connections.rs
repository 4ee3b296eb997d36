use std::time::Duration;

use domain::catalog::{Category, Channel};
use domain::is_overload;
use domain::notifications::Switch;
use domain::{AppError, UserId, WorkspaceId};
use sea_orm::{ConnectionTrait, Database, DbErr, EntityTrait, PaginatorTrait, Statement};
use store::db::{Db, Reader, ShareHolder, entity};
use store::notifications;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{ADAM, Kind, MIA, both, database_url};

/// More than there are connections that read.
const MANY: usize = 20;
/// Far less than a slow query takes, and enough for a quick one on a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// A query that works for minutes.
async fn slow_query(read: &Reader) -> Result<(), DbErr> {
    let endless = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2000000000) \
                   SELECT COUNT(*) FROM numbers";
    let statement = Statement::from_string(read.get_database_backend(), endless);
    read.query_one_raw(statement).await.map(drop)
}

async fn quick_query(db: &Db) {
    timeout(SOON, entity::User::find().count(db.read()))
        .await
        .expect("there is a connection for it")
        .unwrap();
}

/// Starts many slow queries and leaves them time to begin.
async fn start_slow_queries(db: &Db, workspace: Option<WorkspaceId>) -> JoinSet<()> {
    let mut slow = JoinSet::new();
    for _ in 0..MANY {
        let db = db.clone();
        slow.spawn(async move {
            let query = slow_query(db.read());
            let _ = match workspace {
                Some(workspace) => {
                    let holder = ShareHolder::Workspace(workspace);
                    db.shares().run(holder, query).await
                }
                None => query.await,
            };
        });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    slow
}

async fn a_query_that_takes_too_long_is_interrupted(kind: Kind) {
    let (url, folder) = database_url(kind).await;
    // Makes the file; the pool that is asked has one connection.
    drop(Db::connect(&url).await.unwrap());
    let pool = Database::connect(&url).await.unwrap();
    let reader = Reader::new(&pool, 1, SOON, Duration::from_millis(200));
    let error = timeout(SOON, slow_query(&reader))
        .await
        .unwrap()
        .unwrap_err();
    assert!(is_overload(&error), "{error}");
    assert_eq!(AppError::from(error), AppError::Busy);
    timeout(SOON, reader.ping())
        .await
        .expect("its connection is free again")
        .unwrap();
    if let Some(folder) = folder {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_takes_too_long_is_interrupted_on_sqlite() {
    a_query_that_takes_too_long_is_interrupted(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_takes_too_long_is_interrupted_on_postgres() {
    a_query_that_takes_too_long_is_interrupted(Kind::Postgres).await;
}

both! {
    async fn of_many_changes_at_once_one_that_cannot_be_made_is_refused_alone(env) {
        let (mia, adam) = (env.person(MIA).await, env.person(ADAM).await);
        let nobody = UserId::new();
        let mut changes = JoinSet::new();
        for category in Category::ALL {
            for user in [mia.id(), nobody, adam.id()] {
                let ctx = env.ctx.clone();
                changes.spawn(async move {
                    let cell = (Switch::Cell(category, Channel::Email), true);
                    (user, notifications::write(&ctx, user, &[cell]).await)
                });
            }
        }
        while let Some(changed) = changes.join_next().await {
            let (user, result) = changed.unwrap();
            assert_eq!(result.is_ok(), user != nobody, "{result:?}");
        }
        for person in [mia, adam] {
            let view = notifications::view(&env.ctx, &person).await.unwrap();
            assert!(view.rows.iter().all(|row| row.email), "{view:?}");
        }
    }

    async fn who_gives_up_takes_nobody_elses_change_with_them(env) {
        let mia = env.person(MIA).await;
        let set = |category| {
            let ctx = env.ctx.clone();
            let cell = (Switch::Cell(category, Channel::Email), true);
            let user = mia.id();
            tokio::spawn(async move { notifications::write(&ctx, user, &[cell]).await })
        };
        let changes = Category::ALL.map(set);
        tokio::task::yield_now().await;
        changes[0].abort();
        for change in changes.into_iter().skip(1) {
            assert_eq!(change.await.unwrap(), Ok(()));
        }
        let view = notifications::view(&env.ctx, &mia).await.unwrap();
        assert!(view.rows.iter().skip(1).all(|row| row.email), "{view:?}");
    }

    async fn more_may_ask_at_once_than_there_are_connections(env) {
        let mut questions = JoinSet::new();
        for _ in 0..200 {
            let ctx = env.ctx.clone();
            questions.spawn(async move { entity::User::find().count(ctx.db().read()).await });
        }
        // Some give up in the middle: their connections are not lost to the others.
        for _ in 0..200 {
            let ctx = env.ctx.clone();
            questions.spawn(async move { entity::Event::find().count(ctx.db().read()).await }).abort();
        }
        let mut answered = 0;
        while let Some(question) = questions.join_next().await {
            if let Ok(count) = question {
                count.unwrap();
                answered += 1;
            }
        }
        assert!(answered >= 200, "{answered}");
        env.ctx.db().read().ping().await.unwrap();
    }

    async fn queries_that_nobody_waits_for_any_more_are_interrupted(env) {
        let db = env.ctx.db();
        let mut slow = start_slow_queries(db, None).await;
        slow.shutdown().await;
        quick_query(db).await;
    }

    async fn slow_queries_of_one_workspace_leave_connections_to_others(env) {
        let db = env.ctx.db();
        let mut slow = start_slow_queries(db, Some(WorkspaceId::new())).await;
        quick_query(db).await;
        let other = ShareHolder::Workspace(WorkspaceId::new());
        db.shares().run(other, quick_query(db)).await;
        slow.shutdown().await;
    }

    async fn a_database_that_was_closed_answers_nobody(env) {
        let db = env.ctx.db();
        entity::User::find().count(db.read()).await.unwrap();
        db.clone().close().await.unwrap();
        assert!(entity::User::find().count(db.read()).await.is_err());
        let cell = (Switch::Cell(Category::Contacts, Channel::Email), true);
        let refused = notifications::write(&env.ctx, UserId::new(), &[cell]).await;
        assert!(matches!(refused, Err(AppError::Internal { .. })), "{refused:?}");
    }
}

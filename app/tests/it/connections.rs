use app::catalog::{Category, Channel};
use app::db::entity;
use app::domain::{AppError, UserId};
use app::settings::notifications::model::Switch;
use app::settings::notifications::store;
use sea_orm::{EntityTrait, PaginatorTrait};
use tokio::task::JoinSet;

use crate::support::{ADAM, MIA, both};

both! {
    async fn of_many_changes_at_once_one_that_cannot_be_made_is_refused_alone(world) {
        let (mia, adam) = (world.person(MIA).await, world.person(ADAM).await);
        let nobody = UserId::new();
        let mut changes = JoinSet::new();
        for category in Category::ALL {
            for user in [mia.id(), nobody, adam.id()] {
                let house = world.house.clone();
                changes.spawn(async move {
                    let cell = (Switch::Cell(category, Channel::Email), true);
                    (user, store::write(&house, user, &[cell]).await)
                });
            }
        }
        while let Some(changed) = changes.join_next().await {
            let (user, result) = changed.unwrap();
            assert_eq!(result.is_ok(), user != nobody, "{result:?}");
        }
        for person in [mia, adam] {
            let view = store::view(&world.house, &person).await.unwrap();
            assert!(view.rows.iter().all(|row| row.email), "{view:?}");
        }
    }

    async fn who_gives_up_takes_nobody_elses_change_with_them(world) {
        let mia = world.person(MIA).await;
        let set = |category| {
            let house = world.house.clone();
            let cell = (Switch::Cell(category, Channel::Email), true);
            let user = mia.id();
            tokio::spawn(async move { store::write(&house, user, &[cell]).await })
        };
        let changes = Category::ALL.map(set);
        tokio::task::yield_now().await;
        changes[0].abort();
        for change in changes.into_iter().skip(1) {
            assert_eq!(change.await.unwrap(), Ok(()));
        }
        let view = store::view(&world.house, &mia).await.unwrap();
        assert!(view.rows.iter().skip(1).all(|row| row.email), "{view:?}");
    }

    async fn more_may_ask_at_once_than_there_are_connections(world) {
        let mut questions = JoinSet::new();
        for _ in 0..200 {
            let house = world.house.clone();
            questions.spawn(async move { entity::User::find().count(house.db().read()).await });
        }
        // Some give up in the middle: their connections are not lost to the others.
        for _ in 0..200 {
            let house = world.house.clone();
            questions.spawn(async move { entity::Event::find().count(house.db().read()).await }).abort();
        }
        let mut answered = 0;
        while let Some(question) = questions.join_next().await {
            if let Ok(count) = question {
                count.unwrap();
                answered += 1;
            }
        }
        assert!(answered >= 200, "{answered}");
        world.house.db().read().ping().await.unwrap();
    }

    async fn a_database_that_was_closed_answers_nobody(world) {
        let db = world.house.db();
        entity::User::find().count(db.read()).await.unwrap();
        db.clone().close().await.unwrap();
        assert!(entity::User::find().count(db.read()).await.is_err());
        let cell = (Switch::Cell(Category::Contacts, Channel::Email), true);
        let refused = store::write(&world.house, UserId::new(), &[cell]).await;
        assert!(matches!(refused, Err(AppError::Internal { .. })), "{refused:?}");
    }
}

use domain::catalog::{Category, Channel, EventType};
use domain::notifications::{Range, Switch};
use domain::{NotificationId, Timestamp};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, Set};
use store::db::entity::{Event, event, notification};
use store::email::{EmailMessage, NotificationMeta, Recipient, enqueue};
use store::notifications;

use crate::support::{ADAM, MIA, both};

both! {
    async fn the_defaults_are_in_app_for_all_and_email_for_security_and_billing(env) {
        let view = notifications::view(&env.ctx, &env.person(MIA).await).await.unwrap();
        let on: Vec<_> = view.rows.iter().map(|row| (row.category, row.in_app, row.email)).collect();
        let expected: Vec<_> = Category::ALL
            .into_iter()
            .map(|category| (category, true, matches!(category, Category::Security | Category::Billing)))
            .collect();
        assert_eq!(on, expected);
        assert!(view.quiet.iter().all(|(_, on)| !on));
    }

    async fn a_switch_keeps_what_it_was_set_to_and_is_the_persons_own(env) {
        let (mia, adam) = (env.person(MIA).await, env.person(ADAM).await);
        let cell = Switch::Cell(Category::Contacts, Channel::Email);
        for on in [true, true, false, true] {
            notifications::set(&env.ctx, &mia, cell, on).await.unwrap();
            assert_eq!(notifications::view(&env.ctx, &mia).await.unwrap().is_on(cell), on);
        }
        assert!(!notifications::view(&env.ctx, &adam).await.unwrap().is_on(cell));
        let quiet = Switch::Quiet(EventType::ContactUpdated);
        notifications::set(&env.ctx, &mia, quiet, true).await.unwrap();
        assert!(notifications::view(&env.ctx, &mia).await.unwrap().is_on(quiet));
    }

    async fn an_event_told_of_in_two_ways_counts_once(env) {
        let mia = env.person(MIA).await;
        let ctx = &env.ctx;
        let mut tx = ctx.db().begin().await.unwrap();
        let events = Event::find().filter(event::Column::EventType.eq(EventType::ContactCreated)).all(&tx).await.unwrap();
        let tell = async |tx: &mut store::db::Tx, event: &event::Model, by_inbox: bool, by_mail: bool| {
            if by_inbox {
                notification::ActiveModel {
                    id: Set(NotificationId::new()),
                    user_id: Set(mia.id()),
                    workspace_id: Set(event.workspace_id),
                    event_id: Set(event.id),
                    category: Set(event.category),
                    created_at: Set(Timestamp::now()),
                    read_at: Set(None),
                }.insert(tx).await.unwrap();
            }
            if by_mail {
                let to = Recipient { email: mia.email().clone(), user: Some(mia.id()) };
                let notice = NotificationMeta { event: event.id, category: event.category, unsubscribe_url: "x".into() };
                enqueue(tx, ctx, to, EmailMessage::new("x"), Some(notice)).await.unwrap();
            }
        };
        tell(&mut tx, &events[0], true, true).await;
        tell(&mut tx, &events[1], true, false).await;
        tell(&mut tx, &events[2], false, true).await;
        let message = Recipient { email: mia.email().clone(), user: Some(mia.id()) };
        enqueue(&mut tx, ctx, message, EmailMessage::new("no notification"), None).await.unwrap();
        tx.commit().await.unwrap();
        let sent = async |person| {
            let view = notifications::view(ctx, person).await.unwrap();
            view.rows.iter().map(|row| (row.category, row.sent)).filter(|(_, sent)| *sent > 0).collect::<Vec<_>>()
        };
        assert_eq!(sent(&mia).await, [(Category::Contacts, 3)]);
        assert_eq!(sent(&env.person(ADAM).await).await, []);
    }

    async fn a_row_and_a_column_are_set_at_once(env) {
        let mia = env.person(MIA).await;
        notifications::set_range(&env.ctx, &mia, Range::Column(Channel::InApp), false).await.unwrap();
        notifications::set_range(&env.ctx, &mia, Range::Row(Category::Billing), true).await.unwrap();
        let view = notifications::view(&env.ctx, &mia).await.unwrap();
        for row in &view.rows {
            assert_eq!(row.in_app, row.category == Category::Billing, "{}", row.category);
        }
    }

    async fn an_unsubscribe_link_is_for_one_person_and_one_switch(env) {
        let mia = env.person(MIA).await;
        let cell = Switch::Cell(Category::Security, Channel::Email);
        let token = notifications::unsubscribe_token(&env.ctx, mia.id(), cell);
        assert_eq!(notifications::read_unsubscribe(&env.ctx, &token), Some((mia.id(), cell)));
        let other = token.replace("security", "billing");
        assert_eq!(notifications::read_unsubscribe(&env.ctx, &other), None);
        assert_eq!(notifications::read_unsubscribe(&env.ctx, ""), None);
    }
}

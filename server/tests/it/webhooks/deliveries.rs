//! Deliveries and their attempts: who gets one, what is sent again, when, and what ends it.

use std::collections::HashMap;
use std::time::Duration;

use domain::catalog::{EventType, Mode};
use domain::webhooks::{DeliveryStatus, Operator, Status};
use domain::{EventId, Timestamp, days};
use serde_json::json;
use store::db::entity;
use store::db::sea_orm::prelude::Uuid;
use store::db::sea_orm::sea_query::Expr;
use store::db::sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use store::webhooks::direct_dispatch::DirectDispatch;
use store::webhooks::filter::Filter;
use store::webhooks::retention::delete_expired;
use store::webhooks::{self, deliveries};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use wheelhouse::work::{dispatch::dispatch_all, webhooks::send_due};

use super::{On, Receiver, World, both, raw, senders, settings};

both! {
    async fn an_event_becomes_one_delivery_for_each_webhook_that_wants_it(world) {
        let all = world.webhook("http://127.0.0.1:9/", |input| input.event_types.clear()).await;
        let leads = world.webhook("http://127.0.0.1:9/", |input| input.filters = vec![Filter {
            path: "data.stage".into(), operator: Operator::Equals, value: Some(json!("lead")),
        }]).await;
        let tests = world.webhook("http://127.0.0.1:9/", |input| input.include_test_events = true).await;
        let test_world = world.webhook("http://127.0.0.1:9/", |input| input.include_test_events = true).await;
        world.change(test_world, entity::webhook::Column::Mode, Mode::Test).await;
        let paused = world.webhook("http://127.0.0.1:9/", |_| ()).await;
        world.set_status(paused, Status::Paused).await;
        dispatch_all(&world.ctx).await.unwrap();
        let before = world.deliveries(all).await.len();
        let start = EventId::new();
        world.event(EventType::ContactCreated, Mode::Live, json!({"stage": "lead"})).await;
        world.event(EventType::ContactCreated, Mode::Live, json!({"stage": "won"})).await;
        world.event(EventType::ContactCreated, Mode::Test, json!({"stage": "lead"})).await;
        world.event(EventType::ContactDeleted, Mode::Live, json!({"stage": "lead"})).await;
        for _ in 0..2 {
            dispatch_all(&world.ctx).await.unwrap();
            let counts = [
                world.deliveries(all).await.len() - before,
                world.deliveries(leads).await.len(),
                world.deliveries(tests).await.len(),
                world.deliveries(test_world).await.len(),
                world.deliveries(paused).await.len(),
            ];
            assert_eq!(counts, [3, 1, 3, 1, 0]);
            // As after a crash between the deliveries and the mark: once more changes nothing.
            let tx = world.ctx.db().begin().await.unwrap();
            entity::Event::update_many()
                .col_expr(entity::event::Column::DispatchedAt, Expr::value(None::<Timestamp>))
                .filter(entity::event::Column::Id.gt(start))
                .exec(&tx).await.unwrap();
            tx.commit().await.unwrap();
        }
    }

    async fn retries_follow_the_schedule_and_then_it_has_failed(world) {
        let receiver = Receiver::start().await;
        let id = world.webhook(&receiver.to("/down"), |_| ()).await;
        world.contacts(1).await;
        for wait in [100, 200] {
            send_due(&world.ctx, &settings(&[100, 200])).await.unwrap();
            let delivery = &world.deliveries(id).await[0];
            assert_eq!(delivery.status, DeliveryStatus::Pending);
            let seconds = delivery.next_attempt_at.unwrap().since(Timestamp::now()).as_secs();
            assert!((wait * 79 / 100..=wait * 12 / 10).contains(&seconds), "{seconds} for {wait}");
            world.hurry(id).await;
        }
        send_due(&world.ctx, &settings(&[100, 200])).await.unwrap();
        let delivery = &world.deliveries(id).await[0];
        assert_eq!((delivery.status, delivery.attempts, delivery.last_status_code), (DeliveryStatus::Failed, 3, Some(500)));
        assert_eq!(world.row(id).await.failures, 3);
        assert_eq!(world.attempts(delivery.id).await[0].response_body.as_deref(), Some("no\u{fffd}pe"));

        let mut tx = world.ctx.db().begin().await.unwrap();
        webhooks::resend(&mut tx, &world.olivia.permit().unwrap(), delivery.id).await.unwrap();
        tx.commit().await.unwrap();
        send_due(&world.ctx, &settings(&[100, 200])).await.unwrap();
        let delivery = &world.deliveries(id).await[0];
        assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Pending, 4), "a resend begins the schedule anew");
    }

    async fn a_receiver_that_asks_for_time_gets_it(world) {
        let receiver = Receiver::start().await;
        for (path, asked) in [("/later", 3_600), ("/later_by_date", 1_800)] {
            let id = world.webhook(&receiver.to(path), |_| ()).await;
            world.contacts(1).await;
            send_due(&world.ctx, &settings(&[1])).await.unwrap();
            let wait = world.deliveries(id).await[0].next_attempt_at.unwrap().since(Timestamp::now()).as_secs();
            assert!((asked - 10..=asked).contains(&wait), "{path}: {wait}");
        }
    }

    async fn a_receiver_that_is_gone_is_disabled_and_the_admins_are_told(world) {
        let receiver = Receiver::start().await;
        let id = world.webhook(&receiver.to("/gone"), |_| ()).await;
        world.contacts(3).await;
        send_due(&world.ctx, &settings(&[1])).await.unwrap();
        let row = world.row(id).await;
        assert_eq!((row.status, row.status_by.as_deref()), (Status::Disabled, Some("Wheelhouse")));
        assert!(world.deliveries(id).await.iter().all(|row| row.status != DeliveryStatus::Pending));
        dispatch_all(&world.ctx).await.unwrap();
        let disabled = entity::Event::find()
            .filter(entity::event::Column::EventType.eq(EventType::WebhookDisabled))
            .all(world.ctx.db().read()).await.unwrap();
        assert_eq!(disabled.len(), 1);
        let told = entity::Notification::find()
            .filter(entity::notification::Column::EventId.eq(disabled[0].id))
            .count(world.ctx.db().read()).await.unwrap();
        assert_eq!(told, 2, "Olivia and Adam, and neither Mia nor Cleo");
    }

    async fn five_days_of_failure_end_in_disabled_and_four_do_not(world) {
        use entity::webhook::Column;
        let receiver = Receiver::start().await;
        for (since, failures, end) in [(4, 20, Status::Enabled), (6, 5, Status::Enabled), (6, 9, Status::Disabled)] {
            let id = world.webhook(&receiver.to("/down"), |_| ()).await;
            world.change(id, Column::Failures, failures).await;
            world.change(id, Column::FailingSince, Some(Timestamp::now().before(days(since)))).await;
            world.contacts(1).await;
            send_due(&world.ctx, &settings(&[1])).await.unwrap();
            assert_eq!(world.row(id).await.status, end, "{since} days, {failures} failures");
            world.set_status(id, Status::Paused).await;
        }
    }

    async fn a_worker_that_lost_its_lease_changes_nothing(world) {
        let ctx = world.ctx.clone();
        let other = Uuid::new_v4();
        let url = raw(move |mut stream| {
            let ctx = ctx.clone();
            async move {
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                // While the answer is on its way, another worker takes over.
                let tx = ctx.db().begin().await.unwrap();
                entity::Delivery::update_many()
                    .col_expr(entity::delivery::Column::LeaseToken, Expr::value(other))
                    .exec(&tx).await.unwrap();
                tx.commit().await.unwrap();
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        }).await;
        let id = world.webhook(&url, |_| ()).await;
        world.contacts(1).await;
        send_due(&world.ctx, &settings(&[1])).await.unwrap();
        let delivery = &world.deliveries(id).await[0];
        assert_eq!((delivery.status, delivery.attempts, delivery.lease_token), (DeliveryStatus::Pending, 0, Some(other)));
        assert!(world.attempts(delivery.id).await.is_empty());
        assert!(world.row(id).await.last_success_at.is_none());
    }

    async fn two_workers_share_the_work_and_send_nothing_twice(world) {
        let receiver = Receiver::start().await;
        let id = world.webhook(&receiver.to("/ok"), |_| ()).await;
        world.contacts(200).await;
        let (first, second) = (settings(&[1]), settings(&[1]));
        let both = tokio::join!(send_due(&world.ctx, &first), send_due(&world.ctx, &second));
        both.0.unwrap();
        both.1.unwrap();
        let mut times: HashMap<String, usize> = HashMap::new();
        for (_, headers, _) in receiver.got() {
            *times.entry(headers["webhook-id"].to_str().unwrap().to_owned()).or_default() += 1;
        }
        assert_eq!(times.len(), 200);
        assert!(times.values().all(|count| *count == 1));
        assert!(world.deliveries(id).await.iter().all(|row| row.status == DeliveryStatus::Delivered));
    }

    async fn pausing_cancels_what_waits_and_recover_takes_it_up_again(world) {
        let receiver = Receiver::start().await;
        let id = world.webhook(&receiver.to("/ok"), |_| ()).await;
        world.contacts(3).await;
        world.set_status(id, Status::Paused).await;
        assert!(world.deliveries(id).await.iter().all(|row| row.status == DeliveryStatus::Cancelled));
        send_due(&world.ctx, &settings(&[1])).await.unwrap();
        assert!(receiver.got().is_empty());
        let since = Timestamp::now().before(days(1));
        let mut tx = world.ctx.db().begin().await.unwrap();
        assert!(async { deliveries::recover(&mut tx, &world.olivia.permit()?, id, since).await }.await.is_err(), "not while it is paused");
        tx.rollback().await.unwrap();
        world.set_status(id, Status::Enabled).await;
        let mut tx = world.ctx.db().begin().await.unwrap();
        assert_eq!(deliveries::recover(&mut tx, &world.olivia.permit().unwrap(), id, since).await.unwrap(), 3);
        tx.commit().await.unwrap();
        send_due(&world.ctx, &settings(&[1])).await.unwrap();
        assert_eq!(receiver.got().len(), 3);
    }

    async fn a_test_is_sent_at_once_even_if_the_webhook_is_paused(world) {
        let receiver = Receiver::start().await;
        let id = world.webhook(&receiver.to("/down"), |_| ()).await;
        world.set_status(id, Status::Paused).await;
        let stop = CancellationToken::new();
        let worker = tokio::spawn(senders(world.ctx.clone(), settings(&[1, 1]), DirectDispatch::default(), stop.clone()));
        let mut tx = world.ctx.db().begin().await.unwrap();
        let sent = webhooks::test(&mut tx, &world.olivia.permit().unwrap(), id, EventType::ContactTagged).await.unwrap();
        tx.commit().await.unwrap();
        let outcome = deliveries::outcome(&world.ctx, &world.olivia.permit_read().unwrap(), sent, Duration::from_secs(10)).await.unwrap();
        stop.cancel();
        worker.await.unwrap();
        assert_eq!((outcome.status, outcome.attempts.len()), (DeliveryStatus::Failed, 1), "one attempt, no retries");
        assert_eq!(outcome.attempts[0].status_code, Some(500));
        let (_, _, body) = &receiver.got()[0];
        let envelope: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!((&envelope["type"], &envelope["mode"]), (&json!("contact.tagged"), &json!("test")));
        assert_eq!(world.row(id).await.failures, 0, "a test is no failure of the webhook");
    }

    async fn what_is_old_is_forgotten_and_what_is_not_stays(world) {
        use entity::{delivery, delivery_attempt};
        let receiver = Receiver::start().await;
        let id = world.webhook(&receiver.to("/ok"), |_| ()).await;
        world.contacts(3).await;
        send_due(&world.ctx, &settings(&[1])).await.unwrap();
        let rows = world.deliveries(id).await;
        let tx = world.ctx.db().begin().await.unwrap();
        delivery::Entity::update_many()
            .col_expr(delivery::Column::FinishedAt, Expr::value(Timestamp::now().before(days(91))))
            .filter(delivery::Column::Id.eq(rows[0].id)).exec(&tx).await.unwrap();
        delivery_attempt::Entity::update_many()
            .col_expr(delivery_attempt::Column::At, Expr::value(Timestamp::now().before(days(31))))
            .filter(delivery_attempt::Column::DeliveryId.eq(rows[1].id)).exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        delete_expired(&world.ctx).await.unwrap();
        assert_eq!(world.deliveries(id).await.len(), 2);
        let old = &world.attempts(rows[1].id).await[0];
        assert_eq!((old.status_code, &old.request_headers, &old.response_body), (Some(200), &None, &None));
        assert!(world.attempts(rows[2].id).await[0].response_body.is_some());
    }
}

//! What can be sent at once goes straight to the sender, and each delivery is sent once.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use domain::catalog::{EventType, Mode};
use domain::webhooks::DeliveryStatus;
use domain::{Timestamp, WebhookId};
use serde_json::json;
use store::context::AppContext;
use store::db::entity;
use store::db::sea_orm::sea_query::Expr;
use store::db::sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use store::dispatch::DispatcherShard;
use store::webhooks::direct_dispatch::DirectDispatch;
use store::webhooks::fan_out::hand_off;
use tokio_util::sync::CancellationToken;
use wheelhouse::work::{
    dispatch::{self, dispatch_to},
    webhooks::send_due,
};

use super::{On, Receiver, World, both, senders, settings};

both! {
    async fn what_can_be_sent_at_once_is_handed_over_and_all_else_waits_in_the_table(world) {
        let receiver = Receiver::start().await;
        let good = healthy(world, &receiver.to("/ok")).await;
        let full = healthy(world, &receiver.to("/ok")).await;
        let new = world.webhook(&receiver.to("/ok"), |_| ()).await;
        let failing = healthy(world, &receiver.to("/ok")).await;
        world.change(failing, entity::webhook::Column::Failures, 1).await;
        let direct_dispatch = DirectDispatch::default();
        direct_dispatch.open(2, HashSet::from([full]));
        for n in 0..3 {
            world.event(EventType::ContactCreated, Mode::Live, json!({"n": n})).await;
        }
        dispatch_to(&world.ctx, &direct_dispatch).await.unwrap();
        let taken = tokio::time::timeout(Duration::from_secs(5), direct_dispatch.take()).await.expect("something is handed over");
        let ids: Vec<_> = taken.iter().flat_map(|claim| &claim.deliveries).map(|row| row.id).collect();
        let rows = world.deliveries(good).await;
        assert_eq!(ids, rows[..2].iter().map(|row| row.id).collect::<Vec<_>>(), "as many as there is room for");
        let (lease, until) = (Some(taken[0].lease), Some(taken[0].until));
        for row in &rows[..2] {
            assert_eq!((row.lease_token, row.lease_until, row.next_attempt_at), (lease, until, until));
        }
        for (id, waiting) in [(good, &rows[2..]), (full, &world.deliveries(full).await), (new, &world.deliveries(new).await), (failing, &world.deliveries(failing).await)] {
            assert_eq!(held(world, id).await, 3 - waiting.len());
            assert!(waiting.iter().all(|row| row.lease_token.is_none() && row.next_attempt_at.unwrap() <= Timestamp::now()));
        }

        // The sender is gone before it has taken them: they are due at once, and sent once.
        assert!(direct_dispatch.close());
        for claim in taken {
            hand_off(&world.ctx, &direct_dispatch, claim).await;
        }
        assert_eq!(held(world, good).await, 0);
        send_due(&world.ctx, &settings(&[1])).await.unwrap();
        assert_eq!(receiver.got().len(), 4 * 3);
    }

    async fn a_repeat_hands_over_nothing_and_leaves_nothing_held(world) {
        use entity::event::Column;
        let id = healthy(world, "http://127.0.0.1:9/").await;
        world.contacts(2).await;
        // As after a crash between the deliveries and the mark; and one of them was never written.
        let tx = world.ctx.db().begin().await.unwrap();
        let gone = world.deliveries(id).await[0].id;
        entity::Delivery::delete_by_id(gone).exec(&tx).await.unwrap();
        entity::Event::update_many()
            .col_expr(Column::DispatchedAt, Expr::value(None::<Timestamp>))
            .filter(Column::EventType.eq(EventType::ContactCreated))
            .exec(&tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let direct_dispatch = DirectDispatch::default();
        direct_dispatch.open(100, HashSet::new());
        dispatch_to(&world.ctx, &direct_dispatch).await.unwrap();
        let rows = world.deliveries(id).await;
        assert!(rows.len() >= 2);
        assert!(rows.iter().all(|row| row.lease_token.is_none() && row.next_attempt_at.unwrap() <= Timestamp::now()));
        assert!(direct_dispatch.close(), "nothing was given");
    }

    async fn dispatcher_and_sender_deliver_each_event_once_while_one_endpoint_is_slow(world) {
        let receiver = Receiver::start().await;
        let quick = healthy(world, &receiver.to("/ok")).await;
        let slow = healthy(world, &receiver.to("/late")).await;
        let (direct_dispatch, stop) = (DirectDispatch::default(), CancellationToken::new());
        let workers = tokio::spawn(workers(world.ctx.clone(), direct_dispatch.clone(), stop.clone()));
        // More than the slow one has room for, as it comes and all at once.
        for n in 0..60 {
            world.event(EventType::ContactCreated, Mode::Live, json!({"n": n})).await;
        }
        let begun = Instant::now();
        let mut delivered = 0;
        while delivered < 120 && begun.elapsed() < Duration::from_secs(30) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            delivered = 0;
            for id in [quick, slow] {
                let rows = world.deliveries(id).await;
                delivered += rows.iter().filter(|row| row.status == DeliveryStatus::Delivered).count();
            }
        }
        stop.cancel();
        workers.await.unwrap();
        assert_eq!(delivered, 120, "all of them, and before any lease has run out");
        assert_eq!(receiver.got().len(), 120, "none of them twice");
        // What comes after the end of the senders is left for others, and held by nobody.
        world.event(EventType::ContactCreated, Mode::Live, json!({})).await;
        dispatch_to(&world.ctx, &direct_dispatch).await.unwrap();
        assert_eq!(held(world, quick).await, 0);
    }

    async fn a_workspace_with_many_webhooks_gets_each_delivery_once(world) {
        use entity::event::Column;
        let receiver = Receiver::start().await;
        let mut hooks = Vec::new();
        for _ in 0..40 {
            hooks.push(healthy(world, &receiver.to("/ok")).await);
        }
        let (direct_dispatch, stop) = (DirectDispatch::default(), CancellationToken::new());
        world.contacts(1).await;
        let event = world.deliveries(hooks[0]).await[0].event_id;
        // As after a crash between the steps in which they are written.
        let tx = world.ctx.db().begin().await.unwrap();
        entity::Delivery::delete_many()
            .filter(entity::delivery::Column::WebhookId.is_in(hooks[20..].iter().copied()))
            .exec(&tx).await.unwrap();
        entity::Event::update_many()
            .col_expr(Column::DispatchedAt, Expr::value(None::<Timestamp>))
            .filter(Column::Id.eq(event))
            .exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        let workers = tokio::spawn(workers(world.ctx.clone(), direct_dispatch.clone(), stop.clone()));
        for n in 0..4 {
            world.event(EventType::ContactCreated, Mode::Live, json!({"n": n})).await;
        }
        let begun = Instant::now();
        let delivered = async || {
            let rows = entity::Delivery::find().all(world.ctx.db().read()).await.unwrap();
            rows.iter().filter(|row| row.status == DeliveryStatus::Delivered).count()
        };
        while delivered().await < 5 * 40 && begun.elapsed() < Duration::from_secs(30) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        workers.await.unwrap();
        for id in hooks {
            let rows = world.deliveries(id).await;
            assert!(rows.len() == 5 && rows.iter().all(|row| row.status == DeliveryStatus::Delivered), "{rows:?}");
        }
        assert_eq!(receiver.got().len(), 5 * 40, "none of them twice");
    }
}

/// Both dispatchers and both senders, as the program runs them.
async fn workers(ctx: AppContext, direct_dispatch: DirectDispatch, stop: CancellationToken) {
    let of = |shard| dispatch::run(ctx.clone(), shard, direct_dispatch.clone(), stop.clone());
    tokio::join!(
        of(DispatcherShard::FewWebhooks),
        of(DispatcherShard::ManyWebhooks),
        senders(
            ctx.clone(),
            settings(&[1]),
            direct_dispatch.clone(),
            stop.clone()
        ),
    );
}

/// A webhook that has answered well.
async fn healthy(world: &World, url: &str) -> WebhookId {
    let id = world.webhook(url, |_| ()).await;
    let column = entity::webhook::Column::LastSuccessAt;
    world.change(id, column, Some(Timestamp::now())).await;
    id
}

/// How many of a webhook's deliveries are held.
async fn held(world: &World, id: WebhookId) -> usize {
    let rows = world.deliveries(id).await;
    rows.iter().filter(|row| row.lease_token.is_some()).count()
}

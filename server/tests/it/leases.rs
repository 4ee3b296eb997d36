//! What a process held when it crashed is taken over by others, and what a living one holds is not.

use std::time::{Duration, Instant};

use domain::catalog::EventType;
use domain::{DeliveryId, EmailId, EventId, Timestamp};
use store::context::AppContext;
use store::db::entity;
use store::db::sea_orm::prelude::Uuid;
use store::db::sea_orm::sea_query::Expr;
use store::db::sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set,
};
use store::email::{self, EmailMessage, Recipient};
use store::leases::processes::{HeartbeatConnection, free_all_but_own, release_dead_processes};
use store::rate_limit::auth::AuthLimits;
use store::webhooks::deliveries::new_delivery;
use wheelhouse::work::leases::Keeper;

use crate::both::both;
use crate::support::{Database, Kind, Server, context, site};

/// Longer than anybody in a test waits.
const LONG: Duration = Duration::from_mins(30);

/// A delivery and a letter that a process holds.
struct Held {
    lease: Uuid,
    delivery: DeliveryId,
    mail: EmailId,
}

impl Held {
    async fn by(owner: &AppContext) -> Self {
        let webhook = entity::Webhook::find()
            .one(owner.db().read())
            .await
            .unwrap()
            .unwrap();
        let (lease, until) = (owner.leases().token(), Timestamp::now().after(LONG));
        let delivery = DeliveryId::new();
        let mut tx = owner.db().begin().await.unwrap();
        let event_type = EventType::ContactCreated;
        let mut row = new_delivery(delivery, webhook.id, EventId::new(), event_type, until);
        (row.lease_token, row.lease_until) = (Set(Some(lease)), Set(Some(until)));
        row.insert(&tx).await.unwrap();
        let to = Recipient {
            email: "olivia@acme.example".parse().unwrap(),
            user: None,
        };
        let mail = email::enqueue(&mut tx, owner, to, EmailMessage::new("Hello"), None)
            .await
            .unwrap();
        entity::OutboxEmail::update_many()
            .col_expr(entity::outbox_email::Column::LeaseToken, Expr::value(lease))
            .col_expr(entity::outbox_email::Column::LeaseUntil, Expr::value(until))
            .filter(entity::outbox_email::Column::Id.eq(mail))
            .exec(&tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        Self {
            lease,
            delivery,
            mail,
        }
    }

    /// Whether either is held as it was. Otherwise both are free and due.
    async fn is_held(&self, ctx: &AppContext) -> bool {
        let delivery = entity::Delivery::find_by_id(self.delivery)
            .one(ctx.db().read())
            .await
            .unwrap()
            .unwrap();
        let mail = entity::OutboxEmail::find_by_id(self.mail)
            .one(ctx.db().read())
            .await
            .unwrap()
            .unwrap();
        if [delivery.lease_token, mail.lease_token].contains(&Some(self.lease)) {
            return true;
        }
        assert_eq!((delivery.lease_token, delivery.lease_until), (None, None));
        assert_eq!((mail.lease_token, mail.lease_until), (None, None));
        assert!(delivery.next_attempt_at.unwrap() <= Timestamp::now());
        assert!(mail.next_attempt_at.unwrap() <= Timestamp::now());
        false
    }

    /// How long it takes until both are free.
    async fn freed_within(&self, ctx: &AppContext, most: Duration) {
        let begun = Instant::now();
        while self.is_held(ctx).await {
            assert!(begun.elapsed() < most, "still held after {most:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn another(server: &Server) -> AppContext {
    context(&server.database, site(), AuthLimits::off()).await
}

fn url(database: &Database) -> &str {
    &database.url
}

both! {
    async fn what_a_living_process_holds_is_left_to_it_and_is_free_once_it_has_died(server) {
        let (first, second) = (&server.ctx, another(server).await);
        let keeper = Keeper::begin(first, url(&server.database)).await.unwrap();
        let held = Held::by(first).await;
        let other = Keeper::begin(&second, url(&server.database)).await.unwrap();
        let own = Held::by(&second).await;
        // Longer than a process may be silent.
        tokio::time::sleep(Duration::from_secs(13)).await;
        assert!(held.is_held(first).await && own.is_held(first).await, "both live");
        assert!(first.leases().holds(held.lease) && second.leases().holds(own.lease));
        // As a crash ends it: it says nothing any more, and does not take its leave.
        keeper.end(false).await;
        held.freed_within(&second, Duration::from_secs(15)).await;
        assert!(own.is_held(&second).await);
        // The next one finds what the second left behind, as soon as it may.
        other.end(false).await;
        let third = another(server).await;
        let keeper = Keeper::begin(&third, url(&server.database)).await.unwrap();
        own.freed_within(&third, Duration::from_secs(15)).await;
        keeper.end(true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_on_sqlite_frees_what_the_last_one_held_before_it_begins() {
    let server = Server::new(Kind::Sqlite).await;
    let (first, second) = (&server.ctx, another(&server).await);
    let held = Held::by(first).await;
    let own = Held::by(&second).await;
    let keeper = Keeper::begin(&second, url(&server.database)).await.unwrap();
    assert!(!held.is_held(&second).await, "at once");
    assert!(own.is_held(&second).await);
    // Another command on the same database frees nothing, and a second server has to wait for the first to end.
    let third = another(&server).await;
    let waiting = Keeper::begin(&third, url(&server.database)).await.unwrap();
    assert!(own.is_held(&second).await);
    free_all_but_own(&second).await.unwrap();
    assert!(own.is_held(&second).await, "its own stay");
    waiting.end(true).await;
    keeper.end(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_taken_for_dead_on_postgres_begins_anew() {
    let server = Server::new(Kind::Postgres).await;
    let (first, second) = (&server.ctx, another(&server).await);
    let own_connection = HeartbeatConnection::open(url(&server.database))
        .await
        .unwrap();
    own_connection.record(first).await.unwrap();
    own_connection.record(&second).await.unwrap();
    let (held, own) = (Held::by(first).await, Held::by(&second).await);
    release_dead_processes(&second).await.unwrap();
    assert!(held.is_held(first).await && own.is_held(first).await);
    // It stands still for a while.
    let process = first.leases().process();
    let tx = second.db().begin().await.unwrap();
    let back = format!("UPDATE processes SET seen_at = seen_at - 11000 WHERE id = '{process}'");
    tx.execute_unprepared(&back).await.unwrap();
    tx.commit().await.unwrap();
    release_dead_processes(&second).await.unwrap();
    assert!(!held.is_held(first).await && own.is_held(first).await);
    // And goes on: what it held is not its own any more, and what it takes from now on is.
    own_connection.record(first).await.unwrap();
    assert!(!first.leases().holds(held.lease));
    assert_ne!(first.leases().process(), process);
    let again = Held::by(first).await;
    assert!(first.leases().holds(again.lease));
    release_dead_processes(&second).await.unwrap();
    assert!(again.is_held(first).await && own.is_held(first).await);
    // One that was late and is there again keeps its name and what it holds.
    own_connection.record(first).await.unwrap();
    assert!(first.leases().holds(again.lease));
}

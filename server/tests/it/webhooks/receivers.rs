//! Receivers that mean harm, are dead or lead elsewhere: each attempt ends on time, and nobody else waits.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::catalog::{EventType, Mode};
use domain::webhooks::Status;
use domain::{Timestamp, WebhookId};
use futures::future::BoxFuture;
use serde_json::json;
use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use store::webhooks::address::Policy;
use store::webhooks::direct_dispatch::DirectDispatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use wheelhouse::work::{
    dispatch::dispatch_all,
    webhooks::{
        Settings,
        attempt::WebhookClient,
        connector::{Resolve, System},
        send_due,
    },
};

use super::{On, Receiver, World, both, hangs, loopback, raw, senders, settings};

both! {
    async fn after_five_failures_nothing_is_tried_for_a_while_and_then_one(world) {
        let receiver = Receiver::start().await;
        let id = world.webhook(&receiver.to("/down"), |_| ()).await;
        world.contacts(30).await;
        send_due(&world.ctx, &settings(&[3600])).await.unwrap();
        let tried = receiver.got().len();
        assert!((5..10).contains(&tried), "{tried}");
        let until = world.row(id).await.circuit_open_until.unwrap();
        assert!(until > Timestamp::now());
        assert!(world.deliveries(id).await.iter().all(|row| row.next_attempt_at.unwrap() >= until), "what waits is due when the pause is over");
        world.contacts(1).await;
        send_due(&world.ctx, &settings(&[3600])).await.unwrap();
        assert_eq!(receiver.got().len(), tried, "nothing is tried meanwhile");
        world.change(id, entity::webhook::Column::CircuitOpenUntil, Some(Timestamp::now())).await;
        world.hurry(id).await;
        send_due(&world.ctx, &settings(&[3600])).await.unwrap();
        assert_eq!(receiver.got().len(), tried + 1, "one attempt alone");
    }

    async fn what_the_dead_leave_waiting_does_not_stand_before_others(world) {
        use entity::delivery::Column;
        let dead = hangs().await;
        for _ in 0..99 {
            world.webhook(&dead, |_| ()).await;
        }
        world.contacts(10).await;
        let stop = CancellationToken::new();
        let worker = tokio::spawn(senders(world.ctx.clone(), settings(&[300]), DirectDispatch::default(), stop.clone()));
        // Never tried, of endpoints that may still be tried, and put off for longer than what finds its endpoint busy.
        let put_off = async || {
            let open = entity::Webhook::find().filter(entity::webhook::Column::Failures.lt(5)).all(world.ctx.db().read()).await.unwrap();
            entity::Delivery::find()
                .filter(Column::WebhookId.is_in(open.iter().map(|row| row.id)))
                .filter(Column::Attempts.eq(0))
                .filter(Column::LeaseToken.is_null())
                .filter(Column::NextAttemptAt.gt(Timestamp::now().after(Duration::from_secs(4))))
                .all(world.ctx.db().read())
                .await
                .unwrap()
        };
        // All that ever were: on a busy machine they are not all so at the same time.
        let mut seen = HashSet::new();
        let begun = Instant::now();
        while seen.len() < 200 && begun.elapsed() < Duration::from_secs(30) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            seen.extend(put_off().await.into_iter().map(|delivery| delivery.id));
        }
        stop.cancel();
        worker.await.unwrap();
        assert!(seen.len() >= 200, "{} of what the dead cannot take were put off", seen.len());
    }
}

/// Asks once, with a deadline of a second, and says what came of it.
async fn ask(
    world: &World,
    url: &str,
    resolver: Arc<dyn Resolve>,
    policy: Policy,
) -> entity::delivery_attempt::Model {
    let id = world.webhook(url, |_| ()).await;
    world.contacts(1).await;
    let settings = Settings {
        client: WebhookClient::with_deadline(resolver, policy, Duration::from_secs(1)),
        waits: Arc::new([]),
    };
    let begun = Instant::now();
    send_due(&world.ctx, &settings).await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{url} took {:?}",
        begun.elapsed()
    );
    let delivery = &world.deliveries(id).await[0];
    let attempt = world.attempts(delivery.id).await.remove(0);
    world.set_status(id, Status::Paused).await;
    attempt
}

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_mean_harm_end_on_time_and_cost_little() {
    let world = World::new(On::Sqlite).await;
    let receiver = Receiver::start().await;
    let drip = raw(|mut stream| async move {
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            .await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    let slow_head = raw(|mut stream| async move {
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).await;
        for byte in b"HTTP/1.1 200 OK\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
            .iter()
            .cycle()
        {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
    let long_head = raw(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream
            .write_all(format!("x: {}\r\n", "y".repeat(8000)).as_bytes())
            .await
            .is_ok()
        {}
    })
    .await;
    let nonsense = raw(|mut stream| async move {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
    })
    .await;
    let before = memory();
    let cases = [
        (hangs().await, None, Some("timeout")),
        (slow_head, None, Some("timeout")),
        (drip, Some(200), Some("too_slow")),
        (long_head, None, Some("connection_lost")),
        (nonsense, None, Some("connection_lost")),
        (receiver.to("/much"), Some(200), None),
        (receiver.to("/bomb"), Some(200), None),
        (receiver.to("/redirect"), Some(302), Some("redirected")),
        (
            "http://127.0.0.1:9/".to_owned(),
            None,
            Some("connect_failed"),
        ),
        (
            "http://nowhere.invalid/".to_owned(),
            None,
            Some("dns_failed"),
        ),
        (
            receiver.to("/ok").replace("http:", "https:"),
            None,
            Some("tls_failed"),
        ),
    ];
    for (url, status, error) in cases {
        let attempt = ask(&world, &url, Arc::new(System), loopback()).await;
        assert_eq!(
            (attempt.status_code, attempt.error.as_deref()),
            (status, error),
            "{url}"
        );
        let body = attempt.response_body.unwrap_or_default();
        assert!(body.chars().count() <= 20_000, "{url}: {}", body.len());
    }
    assert!(memory().saturating_sub(before) < 64 * 1024 * 1024);
    assert!(
        !receiver.got().iter().any(|(path, ..)| path == "/ok"),
        "no redirect was followed"
    );
}

/// Says one address first and another afterwards, as a name server does that means harm.
struct Rebinding {
    asked: AtomicUsize,
    port: u16,
}

impl Resolve for Rebinding {
    fn resolve<'a>(
        &'a self,
        _: &'a str,
        _: u16,
    ) -> BoxFuture<'a, std::io::Result<Vec<SocketAddr>>> {
        let last = if self.asked.fetch_add(1, Ordering::SeqCst) == 0 {
            2
        } else {
            1
        };
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        Box::pin(async move { Ok(vec![SocketAddr::new(address, self.port)]) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_turns_to_a_private_address_is_not_followed_there() {
    let world = World::new(On::Sqlite).await;
    let canary = Receiver::start_at(Ipv4Addr::UNSPECIFIED).await;
    let port = canary.url.rsplit_once(':').unwrap().1.parse().unwrap();
    let resolver: Arc<dyn Resolve> = Arc::new(Rebinding {
        asked: AtomicUsize::new(0),
        port,
    });
    // Of loopback only 127.0.0.2 stands for the public network here.
    let policy = Policy::allowing(vec!["127.0.0.2/32".parse().unwrap()]);
    let url = format!("http://rebinding.example:{port}/");
    let first = ask(&world, &url, resolver.clone(), policy.clone()).await;
    assert_eq!(first.status_code, Some(200));
    let second = ask(&world, &url, resolver, policy.clone()).await;
    assert_eq!(second.error.as_deref(), Some("address_refused"));
    for url in [
        "http://localhost",
        "http://127.0.0.1",
        "http://[::1]",
        "http://[::ffff:127.0.0.1]",
    ] {
        let attempt = ask(
            &world,
            &format!("{url}:{port}/"),
            Arc::new(System),
            policy.clone(),
        )
        .await;
        assert_eq!(attempt.error.as_deref(), Some("address_refused"), "{url}");
    }
    assert_eq!(canary.got().len(), 1, "only what was allowed arrived");
}

/// How long deliveries took from due to received, the slowest hundredth left out.
async fn slowest(world: &World, receiver: &Receiver, id: WebhookId, count: usize) -> Duration {
    let before = receiver.got().len();
    let mut waits = Vec::new();
    for n in 0..count {
        let begun = Instant::now();
        world
            .event(EventType::ContactTagged, Mode::Live, json!({"n": n}))
            .await;
        dispatch_all(&world.ctx).await.unwrap();
        while receiver.got().len() < before + n + 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "delivery {n} of {id} does not arrive"
            );
        }
        waits.push(begun.elapsed());
    }
    waits.sort_unstable();
    waits[count * 99 / 100 - 1]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_endpoint_among_many_dead_ones_is_served_as_if_alone() {
    const DEAD: usize = 99;
    let world = World::new(On::Postgres).await;
    let receiver = Receiver::start().await;
    let alive = world
        .webhook(&receiver.to("/ok"), |input| {
            input.event_types = vec!["contact.tagged".into()];
        })
        .await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(senders(
        world.ctx.clone(),
        settings(&[5, 300]),
        DirectDispatch::default(),
        stop.clone(),
    ));
    let alone = slowest(&world, &receiver, alive, 100).await;
    let dead = hangs().await;
    for _ in 0..DEAD {
        world.webhook(&dead, |_| ()).await;
    }
    world.contacts(10).await;
    let among = slowest(&world, &receiver, alive, 100).await;
    stop.cancel();
    worker.await.unwrap();
    assert!(
        among < alone * 2 + Duration::from_millis(250),
        "{among:?} among {DEAD} dead, {alone:?} alone"
    );
}

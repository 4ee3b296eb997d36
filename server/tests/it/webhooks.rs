//! From an event to a receiver: fan-out, the sender, and receivers that mean harm.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{self, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::catalog::{EventType, Mode};
use domain::webhooks::{DeliveryStatus, Operator, Status};
use domain::{DeliveryId, EventId, Secret, Timestamp, WebhookId, days};
use futures::future::BoxFuture;
use serde_json::json;
use store::auth::{Caller, Principal, sessions};
use store::context::{AppContext, Site};
use store::db::sea_orm::prelude::Uuid;
use store::db::sea_orm::sea_query::Expr;
use store::db::sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
};
use store::db::{Db, entity};
use store::demo;
use store::dispatch::DispatcherShard;
use store::events::{self, NewEvent, Origin};
use store::master_key::MasterKey;
use store::passwords::Passwords;
use store::rate_limit::auth::AuthLimits;
use store::webhooks::address::Policy;
use store::webhooks::direct_dispatch::DirectDispatch;
use store::webhooks::dto::{CreateWebhookRequest, UpdateWebhookRequest};
use store::webhooks::fan_out::hand_off;
use store::webhooks::filter::Filter;
use store::webhooks::retention::delete_expired;
use store::webhooks::{self, deliveries, signing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wheelhouse::work::{
    dispatch::{self, dispatch_all, dispatch_to},
    webhooks::{
        QueueClass, Settings,
        attempt::WebhookClient,
        connector::{Resolve, System},
        run as send_deliveries, send_due,
    },
};

use crate::support::{Folder, info};

#[derive(Clone, Copy)]
enum On {
    Sqlite,
    Postgres,
}

/// Acme and Globex in a database of the test's own, with nothing left to dispatch.
struct World {
    ctx: AppContext,
    olivia: Principal,
    _folder: Folder,
}

impl World {
    async fn new(on: On) -> Self {
        let folder = Folder::new();
        let url = match on {
            On::Sqlite => format!("sqlite://{}", folder.path().join("test.db").display()),
            On::Postgres => {
                let server = std::env::var("WHEELHOUSE_TEST_POSTGRES_URL")
                    .expect("WHEELHOUSE_TEST_POSTGRES_URL names a PostgreSQL server");
                let name = format!("wheelhouse_{}", Uuid::new_v4().simple());
                let admin = store::db::sea_orm::Database::connect(server.as_str())
                    .await
                    .unwrap();
                let create = format!("CREATE DATABASE {name}");
                admin.execute_unprepared(&create).await.unwrap();
                admin.close().await.unwrap();
                format!("{}/{name}", server.rsplit_once('/').unwrap().0)
            }
        };
        let db = Db::connect(&url).await.unwrap();
        db.migrate().await.unwrap();
        let site = Site {
            public_url: "http://127.0.0.1:3000".into(),
            sends_mail: false,
            demo: true,
        };
        let master_key = MasterKey::new([7; 32]);
        let ctx = AppContext::new(
            db,
            site,
            master_key,
            Passwords::quick_for_tests(),
            AuthLimits::off(),
        );
        ctx.set_webhooks(loopback());
        demo::demo(&ctx).await.unwrap();
        let password = Secret::from(demo::PASSWORD);
        let begun = sessions::sign_in(&ctx, &info(), "olivia@acme.example", &password)
            .await
            .unwrap();
        let cookie = begun.cookie.expose().to_owned();
        let actor = Caller::new(ctx.clone(), info(), Some(cookie))
            .actor("acme")
            .await
            .unwrap();
        dispatch_all(&ctx).await.unwrap();
        let tx = ctx.db().begin().await.unwrap();
        entity::Delivery::delete_many().exec(&tx).await.unwrap();
        entity::Webhook::delete_many().exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        Self {
            ctx,
            olivia: actor.into(),
            _folder: folder,
        }
    }

    async fn webhook(&self, url: &str, more: impl FnOnce(&mut CreateWebhookRequest)) -> WebhookId {
        let mut input = CreateWebhookRequest {
            url: url.to_owned(),
            event_types: vec!["contact.created".to_owned()],
            ..CreateWebhookRequest::default()
        };
        more(&mut input);
        let mut tx = self.ctx.db().begin().await.unwrap();
        let made = webhooks::create(&mut tx, &self.ctx, &self.olivia, &input)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        dispatch_all(&self.ctx).await.unwrap();
        made.id
    }

    async fn event(&self, event_type: EventType, mode: Mode, data: serde_json::Value) {
        let mut tx = self.ctx.db().begin().await.unwrap();
        let event = NewEvent::in_workspace(self.olivia.workspace(), event_type, data).in_mode(mode);
        events::record(&mut tx, Origin::system(), event)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// So many contacts are created, and their events dispatched.
    async fn contacts(&self, count: usize) {
        for n in 0..count {
            self.event(EventType::ContactCreated, Mode::Live, json!({"n": n}))
                .await;
        }
        dispatch_all(&self.ctx).await.unwrap();
    }

    async fn deliveries(&self, id: WebhookId) -> Vec<entity::delivery::Model> {
        entity::Delivery::find()
            .filter(entity::delivery::Column::WebhookId.eq(id))
            .order_by_asc(entity::delivery::Column::Id)
            .all(self.ctx.db().read())
            .await
            .unwrap()
    }

    async fn row(&self, id: WebhookId) -> entity::webhook::Model {
        entity::Webhook::find_by_id(id)
            .one(self.ctx.db().read())
            .await
            .unwrap()
            .unwrap()
    }

    async fn attempts(&self, id: DeliveryId) -> Vec<entity::delivery_attempt::Model> {
        entity::DeliveryAttempt::find()
            .filter(entity::delivery_attempt::Column::DeliveryId.eq(id))
            .order_by_asc(entity::delivery_attempt::Column::Number)
            .all(self.ctx.db().read())
            .await
            .unwrap()
    }

    /// Makes everything that waits for a webhook due now.
    async fn hurry(&self, id: WebhookId) {
        use entity::delivery::Column;
        let tx = self.ctx.db().begin().await.unwrap();
        entity::Delivery::update_many()
            .col_expr(Column::NextAttemptAt, Expr::value(Timestamp::now()))
            .filter(Column::WebhookId.eq(id))
            .filter(Column::Status.eq(DeliveryStatus::Pending))
            .exec(&tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    async fn change(
        &self,
        id: WebhookId,
        column: entity::webhook::Column,
        to: impl Into<store::db::sea_orm::Value>,
    ) {
        let tx = self.ctx.db().begin().await.unwrap();
        entity::Webhook::update_many()
            .col_expr(column, Expr::value(to))
            .filter(entity::webhook::Column::Id.eq(id))
            .exec(&tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    async fn set_status(&self, id: WebhookId, status: Status) {
        let patch = UpdateWebhookRequest {
            status: Some(status),
            ..UpdateWebhookRequest::default()
        };
        let mut tx = self.ctx.db().begin().await.unwrap();
        webhooks::update(&mut tx, &self.ctx, &self.olivia, id, &patch)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}

fn loopback() -> Policy {
    Policy::allowing(vec![
        "127.0.0.0/8".parse().unwrap(),
        "::1/128".parse().unwrap(),
    ])
}

/// A sender that waits so many seconds between attempts and gives a receiver two seconds.
fn settings(waits: &[u64]) -> Settings {
    Settings {
        client: WebhookClient::with_deadline(Arc::new(System), loopback(), Duration::from_secs(2)),
        waits: waits.iter().map(|n| Duration::from_secs(*n)).collect(),
    }
}

type Request = (String, HeaderMap, Bytes);

/// A receiver on loopback that answers as its path says, and remembers what it got.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<Request>>>,
    url: String,
}

impl Receiver {
    async fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST).await
    }

    async fn start_at(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let receiver = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            ..Self::default()
        };
        let answering = receiver.clone();
        let app = axum::Router::new().fallback(
            move |uri: http::Uri, headers: HeaderMap, body: Bytes| async move {
                if uri.path() == "/late" {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                }
                answering.answer(uri.path(), headers, body)
            },
        );
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        receiver
    }

    fn answer(&self, path: &str, headers: HeaderMap, body: Bytes) -> Response {
        let mut got = self.got.lock().unwrap();
        got.push((path.to_owned(), headers, body));
        let count = got.iter().filter(|(other, ..)| other == path).count();
        match path {
            "/flaky" if count == 1 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            "/down" => (StatusCode::INTERNAL_SERVER_ERROR, "no\0pe").into_response(),
            "/gone" => StatusCode::GONE.into_response(),
            "/later" => (
                StatusCode::SERVICE_UNAVAILABLE,
                [("retry-after", "3600")],
                "",
            )
                .into_response(),
            "/later_by_date" => {
                let then = std::time::SystemTime::now() + Duration::from_mins(30);
                let then = httpdate::fmt_http_date(then);
                (StatusCode::TOO_MANY_REQUESTS, [("retry-after", then)], "").into_response()
            }
            "/redirect" => (StatusCode::FOUND, [("location", "/ok")], "").into_response(),
            "/much" => {
                let chunk = Bytes::from(vec![b'x'; 1024 * 1024]);
                let gigabyte = (0..1024).map(move |_| Ok::<_, std::io::Error>(chunk.clone()));
                Body::from_stream(futures::stream::iter(gigabyte)).into_response()
            }
            "/bomb" => {
                let body = vec![0x1f; 30_000];
                ([("content-encoding", "gzip")], body).into_response()
            }
            _ => "thank you".into_response(),
        }
    }

    fn got(&self) -> Vec<Request> {
        self.got.lock().unwrap().clone()
    }

    fn to(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

/// A receiver that takes connections and does with them as it likes.
async fn raw<F>(serve: impl Fn(tokio::net::TcpStream) -> F + Send + Sync + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    url
}

async fn hangs() -> String {
    raw(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await
}

macro_rules! both {
    ($(async fn $name:ident($world:ident) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($world: &World) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                test(&World::new(On::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                test(&World::new(On::Postgres).await).await;
            }
        }
    )*};
}

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

    async fn a_secret_that_cannot_be_decrypted_is_a_failed_attempt_that_says_so(world) {
        let receiver = Receiver::start().await;
        let id = world.webhook(&receiver.to("/ok"), |_| {}).await;
        world.contacts(1).await;
        // As if it had been sealed with another key.
        world.change(id, entity::webhook::Column::Secret, vec![7_u8; 80]).await;
        send_due(&world.ctx, &settings(&[60])).await.unwrap();
        let delivery = world.deliveries(id).await.remove(0);
        assert_eq!((delivery.attempts, delivery.status), (1, DeliveryStatus::Pending));
        assert_eq!(delivery.last_error.as_deref(), Some("secret_unreadable"));
        let attempt = world.attempts(delivery.id).await.remove(0);
        assert_eq!(attempt.error.as_deref(), Some("secret_unreadable"));
        assert!(receiver.got().is_empty());
        // A new secret is the way out, although the one before stays unreadable.
        let mut tx = world.ctx.db().begin().await.unwrap();
        webhooks::rotate_secret(&mut tx, &world.ctx, &world.olivia, id).await.unwrap();
        tx.commit().await.unwrap();
        world.hurry(id).await;
        send_due(&world.ctx, &settings(&[60])).await.unwrap();
        assert_eq!(world.deliveries(id).await[0].status, DeliveryStatus::Delivered);
        assert_eq!(receiver.got().len(), 1);
    }

    async fn a_delivery_is_signed_and_the_same_at_every_attempt(world) {
        let receiver = Receiver::start().await;
        let id = world.webhook(&receiver.to("/flaky"), |input| {
            input.headers = [("X-Key".to_owned(), Secret::from("open sesame"))].into();
        }).await;
        world.contacts(1).await;
        send_due(&world.ctx, &settings(&[1])).await.unwrap();
        world.hurry(id).await;
        send_due(&world.ctx, &settings(&[1])).await.unwrap();

        let got = receiver.got();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].2, got[1].2, "the same bytes");
        let secret = webhooks::secret(&world.ctx, &world.olivia, id).await.unwrap();
        for (_, headers, body) in &got {
            let text = |name: &str| headers[name].to_str().unwrap().to_owned();
            let event = text("webhook-id").parse().unwrap();
            let body = std::str::from_utf8(body).unwrap();
            let expected = signing::sign(&secret, event, text("webhook-timestamp").parse().unwrap(), body);
            assert_eq!(Some(text("webhook-signature")), expected);
            assert_eq!(text("webhook-id"), got[0].1["webhook-id"]);
            assert_eq!((text("user-agent").as_str(), text("x-key").as_str()), ("Wheelhouse-Webhooks/1", "open sesame"));
            let envelope: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(envelope["id"], text("webhook-id"));
        }
        let delivery = &world.deliveries(id).await[0];
        assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Delivered, 2));
        assert!(delivery.lease_token.is_none() && delivery.next_attempt_at.is_none());
        let attempts = world.attempts(delivery.id).await;
        assert_eq!(attempts.iter().map(|a| a.status_code).collect::<Vec<_>>(), [Some(500), Some(200)]);
        assert_eq!(attempts[1].response_body.as_deref(), Some("thank you"));
        let shown = attempts[1].request_headers.as_ref().unwrap();
        assert_eq!(shown["x-key"], "••••", "a header of theirs may be a password");
        let hours = entity::WebhookHourlyStat::find().all(world.ctx.db().read()).await.unwrap();
        let hours: Vec<_> = hours.iter().filter(|hour| hour.webhook_id == id).collect();
        assert_eq!(hours.iter().map(|hour| (hour.succeeded, hour.failed)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)), (1, 1));
        assert!(world.row(id).await.last_success_at.is_some());
    }

    async fn both_secrets_sign_during_a_rotation(world) {
        let receiver = Receiver::start().await;
        let id = world.webhook(&receiver.to("/ok"), |_| ()).await;
        let old = webhooks::secret(&world.ctx, &world.olivia, id).await.unwrap();
        let mut tx = world.ctx.db().begin().await.unwrap();
        let new = webhooks::rotate_secret(&mut tx, &world.ctx, &world.olivia, id).await.unwrap().secret.unwrap();
        tx.commit().await.unwrap();
        assert_ne!(old, new);
        world.contacts(1).await;
        send_due(&world.ctx, &settings(&[])).await.unwrap();
        let (_, headers, body) = receiver.got()[0].clone();
        let (event, at) = (headers["webhook-id"].to_str().unwrap().parse().unwrap(), headers["webhook-timestamp"].to_str().unwrap().parse().unwrap());
        let body = std::str::from_utf8(&body).unwrap();
        let expected = format!("{} {}", signing::sign(&new, event, at, body).unwrap(), signing::sign(&old, event, at, body).unwrap());
        assert_eq!(headers["webhook-signature"], expected);
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
        webhooks::resend(&mut tx, &world.olivia, delivery.id).await.unwrap();
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
        assert!(deliveries::recover(&mut tx, &world.olivia, id, since).await.is_err(), "not while it is paused");
        tx.rollback().await.unwrap();
        world.set_status(id, Status::Enabled).await;
        let mut tx = world.ctx.db().begin().await.unwrap();
        assert_eq!(deliveries::recover(&mut tx, &world.olivia, id, since).await.unwrap(), 3);
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
        let sent = webhooks::test(&mut tx, &world.olivia, id, EventType::ContactTagged).await.unwrap();
        tx.commit().await.unwrap();
        let outcome = deliveries::outcome(&world.ctx, &world.olivia, sent, Duration::from_secs(10)).await.unwrap();
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

/// What is sent is verified by libraries that are not ours, also during a rotation.
#[tokio::test(flavor = "multi_thread")]
async fn the_libraries_of_others_verify_what_is_sent() {
    let world = World::new(On::Sqlite).await;
    let receiver = Receiver::start().await;
    let id = world.webhook(&receiver.to("/ok"), |_| ()).await;
    let old = webhooks::secret(&world.ctx, &world.olivia, id)
        .await
        .unwrap();
    let mut tx = world.ctx.db().begin().await.unwrap();
    let new = webhooks::rotate_secret(&mut tx, &world.ctx, &world.olivia, id)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world
        .event(
            EventType::ContactCreated,
            Mode::Live,
            json!({"name": "Zoë “Z” Núñez 🎈", "note": "a\nb\u{2028}"}),
        )
        .await;
    dispatch_all(&world.ctx).await.unwrap();
    send_due(&world.ctx, &settings(&[])).await.unwrap();
    let (_, headers, body) = receiver.got().remove(0);
    let headers: HashMap<&str, &str> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    let sent = json!({
        "secrets": [new.secret.unwrap().expose(), old.expose()],
        "headers": headers,
        "body": std::str::from_utf8(&body).unwrap(),
    });
    let python = std::env::var("WHEELHOUSE_TEST_PYTHON")
        .expect("WHEELHOUSE_TEST_PYTHON names a Python; bin/setup --tests makes one");
    let mut program = std::process::Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/verify_webhook.py"
        ))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = program.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, sent.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "verified\n");
}

/// Both senders, as the program runs them.
async fn senders(
    ctx: AppContext,
    settings: Settings,
    direct_dispatch: DirectDispatch,
    stop: CancellationToken,
) {
    tokio::join!(
        send_deliveries(
            ctx.clone(),
            settings.clone(),
            QueueClass::Healthy,
            direct_dispatch,
            stop.clone()
        ),
        send_deliveries(
            ctx,
            settings,
            QueueClass::Failing,
            DirectDispatch::default(),
            stop
        ),
    );
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

//! From an event to a receiver: fan-out, the sender, and receivers that mean harm.

mod deliveries;
mod direct_dispatch;
mod receivers;
mod signatures;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{self, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::catalog::{EventType, Mode};
use domain::webhooks::{DeliveryStatus, Status};
use domain::{DeliveryId, Secret, Timestamp, WebhookId};
use serde_json::json;
use store::auth::{Caller, Principal, sessions};
use store::context::{AppContext, Site};
use store::db::sea_orm::prelude::Uuid;
use store::db::sea_orm::sea_query::Expr;
use store::db::sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use store::db::{Db, entity};
use store::demo;
use store::events::{self, NewEvent, Origin};
use store::master_key::MasterKey;
use store::passwords::Passwords;
use store::rate_limit::auth::AuthLimits;
use store::webhooks;
use store::webhooks::address::Policy;
use store::webhooks::direct_dispatch::DirectDispatch;
use store::webhooks::dto::{CreateWebhookRequest, UpdateWebhookRequest};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wheelhouse::work::{
    dispatch::dispatch_all,
    webhooks::{
        QueueClass, Settings, attempt::WebhookClient, connector::System, run as send_deliveries,
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
        let made = webhooks::create(&mut tx, &self.ctx, &self.olivia.permit().unwrap(), &input)
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
        webhooks::update(
            &mut tx,
            &self.ctx,
            &self.olivia.permit().unwrap(),
            id,
            &patch,
        )
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
pub(crate) use both;

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

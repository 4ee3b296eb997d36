//! The real program, killed at any moment and stopped past its lease: what was committed is delivered all the same, and
//! soon after.
//! `bin/crash-test` does it two hundred times.

mod leases;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine as _;
use domain::catalog::{EventType, Mode};
use domain::webhooks::{DeliveryStatus, Status};
use domain::{EventId, Timestamp, WebhookId, WorkspaceId};
use serde_json::json;
use store::context::{AppContext, Site};
use store::db::sea_orm::prelude::Uuid;
use store::db::sea_orm::sea_query::Expr;
use store::db::sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Set,
};
use store::db::{Db, entity};
use store::events::{self, NewEvent, Origin};
use store::master_key::MasterKey;
use store::passwords::Passwords;
use store::rate_limit::auth::AuthLimits;
use store::webhooks::signing;
use tokio::net::TcpListener;

use crate::support::Folder;

/// How often the program is killed, unless `WHEELHOUSE_KILL_ROUNDS` says otherwise.
const ROUNDS: u32 = 10;
const KEY: [u8; 32] = [7; 32];
/// Webhooks that all get every event: one that answers well, one that fails every third time, one that is slow.
const PATHS: [&str; 3] = ["/good", "/flaky", "/slow"];
const EVENTS_A_ROUND: usize = 12;

struct Setting {
    url: String,
    ctx: AppContext,
    workspace: WorkspaceId,
    webhooks: Vec<(WebhookId, &'static str)>,
    receiver: Receiver,
    folder: Folder,
}

/// What arrived: path and webhook-id, and how often.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<HashMap<(String, String), u32>>>, Arc<AtomicU32>);

impl Receiver {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let receiver = self.clone();
        let app = axum::Router::new().fallback(move |uri: Uri, headers: HeaderMap| async move {
            let id = headers["webhook-id"].to_str().unwrap().to_owned();
            *receiver
                .0
                .lock()
                .unwrap()
                .entry((uri.path().to_owned(), id))
                .or_default() += 1;
            let count = receiver.1.fetch_add(1, Ordering::Relaxed);
            match uri.path() {
                "/flaky" if count.is_multiple_of(3) => return StatusCode::INTERNAL_SERVER_ERROR,
                "/slow" => tokio::time::sleep(Duration::from_millis(60)).await,
                "/stuck" => tokio::time::sleep(Duration::from_secs(4)).await,
                "/slowest" => tokio::time::sleep(Duration::from_secs(13)).await,
                _ => {}
            }
            StatusCode::OK
        });
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        url
    }

    /// How often anything arrived.
    fn times(&self, path: &str) -> u32 {
        let got = self.0.lock().unwrap();
        let of_path = got.iter().filter(|((other, _), _)| other == path);
        of_path.map(|(_, times)| times).sum()
    }

    fn ids(&self, path: &str) -> BTreeSet<String> {
        let got = self.0.lock().unwrap();
        got.keys()
            .filter(|(other, _)| other == path)
            .map(|(_, id)| id.clone())
            .collect()
    }
}

async fn setting(postgres: bool, paths: &[&'static str]) -> Setting {
    let folder = Folder::new();
    let url = if postgres {
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
    } else {
        format!("sqlite://{}", folder.path().join("kill.db").display())
    };
    let db = Db::connect(&url).await.unwrap();
    db.migrate().await.unwrap();
    let site = Site {
        public_url: "http://127.0.0.1:3000".into(),
        sends_mail: false,
        demo: false,
    };
    let ctx = AppContext::new(
        db,
        site,
        MasterKey::new(KEY),
        Passwords::quick_for_tests(),
        AuthLimits::off(),
    );
    let (workspace, now) = (WorkspaceId::new(), Timestamp::now());
    let tx = ctx.db().begin().await.unwrap();
    entity::workspace::ActiveModel {
        id: Set(workspace),
        name: Set("Acme".into()),
        slug: Set("acme".parse().unwrap()),
        created_at: Set(now),
        updated_at: Set(now),
    }
    .insert(&tx)
    .await
    .unwrap();
    let receiver = Receiver::default();
    let base = receiver.start().await;
    let mut webhooks = Vec::new();
    for path in paths {
        let id = WebhookId::new();
        entity::webhook::ActiveModel {
            id: Set(id),
            workspace_id: Set(workspace),
            url: Set(format!("{base}{path}")),
            description: Set(String::new()),
            event_types: Set(json!([])),
            filters: Set(json!([])),
            headers: Set(None),
            secret: Set(signing::seal_secret(&ctx, id, &signing::new_secret())),
            previous_secret: Set(None),
            previous_secret_until: Set(None),
            mode: Set(Mode::Live),
            include_test_events: Set(false),
            status: Set(Status::Enabled),
            status_reason: Set(None),
            status_by: Set(None),
            status_at: Set(None),
            failures: Set(0),
            failing_since: Set(None),
            circuit_open_until: Set(None),
            last_success_at: Set(None),
            created_by_name: Set("Olivia Owens".into()),
            created_at: Set(now),
            updated_at: Set(now),
        }
        .insert(&tx)
        .await
        .unwrap();
        webhooks.push((id, *path));
    }
    tx.commit().await.unwrap();
    Setting {
        url,
        ctx,
        workspace,
        webhooks,
        receiver,
        folder,
    }
}

impl Setting {
    /// The program, at work on this database.
    fn spawn(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_wheelhouse"))
            .arg("serve")
            .current_dir(self.folder.path())
            .env("WHEELHOUSE_ADDR", "127.0.0.1:0")
            .env("WHEELHOUSE_DATABASE_URL", &self.url)
            .env(
                "WHEELHOUSE_SECRET_KEY",
                base64::engine::general_purpose::STANDARD.encode(KEY),
            )
            .env("WHEELHOUSE_WEBHOOK_ALLOW", "127.0.0.0/8")
            .env(
                "WHEELHOUSE_WEBHOOK_RETRY_SECONDS",
                "0,0,0,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
            )
            .env("WHEELHOUSE_LOG", "error")
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    async fn record(&self, n: usize) -> EventId {
        let mut tx = self.ctx.db().begin().await.unwrap();
        let event =
            NewEvent::in_workspace(self.workspace, EventType::ContactCreated, json!({"n": n}));
        let id = events::record(&mut tx, Origin::system(), event)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// As if all leases had run out, if `all`, and all waits were over.
    async fn hurry(&self, all: bool) {
        use entity::delivery::Column;
        let tx = self.ctx.db().begin().await.unwrap();
        let mut waiting = entity::Delivery::update_many()
            .col_expr(Column::NextAttemptAt, Expr::value(Timestamp::now()))
            .filter(Column::Status.eq(DeliveryStatus::Pending));
        if !all {
            waiting = waiting.filter(Column::LeaseToken.is_null());
        }
        waiting.exec(&tx).await.unwrap();
        entity::Webhook::update_many()
            .col_expr(
                entity::webhook::Column::CircuitOpenUntil,
                Expr::value(None::<Timestamp>),
            )
            .exec(&tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    async fn pending(&self) -> u64 {
        let events = entity::Event::find()
            .filter(entity::event::Column::DispatchedAt.is_null())
            .count(self.ctx.db().read());
        let deliveries = entity::Delivery::find()
            .filter(entity::delivery::Column::Status.eq(DeliveryStatus::Pending))
            .count(self.ctx.db().read());
        events.await.unwrap() + deliveries.await.unwrap()
    }
}

/// A number below `most`, by the operating system's dice.
fn random(most: u64) -> u64 {
    Uuid::new_v4().as_u64_pair().0 % most
}

async fn killed_at_any_moment(postgres: bool) {
    let setting = setting(postgres, &PATHS).await;
    let rounds = std::env::var("WHEELHOUSE_KILL_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(ROUNDS);
    let mut committed = BTreeSet::new();
    for round in 0..rounds {
        let mut program = setting.spawn();
        let life = Duration::from_millis(100 + random(900));
        let begun = Instant::now();
        for n in 0..EVENTS_A_ROUND {
            committed.insert(setting.record(n).await.to_string());
            tokio::time::sleep(Duration::from_millis(random(40))).await;
        }
        tokio::time::sleep(life.saturating_sub(begun.elapsed())).await;
        program.kill().unwrap();
        program.wait().unwrap();
        if round % 5 == 4 {
            setting.hurry(true).await;
        }
    }
    // And then it is left in peace.
    setting.hurry(true).await;
    let mut program = setting.spawn();
    let begun = Instant::now();
    while setting.pending().await > 0 {
        assert!(
            begun.elapsed() < Duration::from_mins(2),
            "{} are left",
            setting.pending().await
        );
        setting.hurry(false).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    program.kill().unwrap();
    program.wait().unwrap();

    let rows = entity::Delivery::find()
        .all(setting.ctx.db().read())
        .await
        .unwrap();
    for (id, path) in &setting.webhooks {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.webhook_id == *id) {
            *counts.entry(row.event_id.to_string()).or_default() += 1;
            assert_eq!(row.status, DeliveryStatus::Delivered, "{path}: {row:?}");
        }
        assert!(
            counts.values().all(|count| *count == 1),
            "{path}: none twice"
        );
        assert_eq!(
            counts.into_keys().collect::<BTreeSet<_>>(),
            committed,
            "{path}: a delivery for each event"
        );
        assert_eq!(
            setting.receiver.ids(path),
            committed,
            "{path}: each arrived under its id"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_on_sqlite() {
    killed_at_any_moment(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_on_postgres() {
    killed_at_any_moment(true).await;
}

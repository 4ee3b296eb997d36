//! The demo behind the real router, with a signed-in browser for each person.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use app::session::api::cookie_name;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use clap::Parser;
use domain::Secret;
use store::auth::{RequestInfo, sessions};
use store::context::{AppContext, Site};
use store::db::Db;
use store::db::sea_orm::ConnectionTrait;
use store::db::sea_orm::prelude::Uuid;
use store::demo;
use store::master_key::MasterKey;
use store::passwords::Passwords;
use store::rate_limit::auth::AuthLimits;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use wheelhouse::config::Config;
use wheelhouse::metrics::Metrics;
use wheelhouse::state::AppState;
use wheelhouse::{http, serve};

pub const ORIGIN: &str = "http://127.0.0.1:3000";
pub const PEOPLE: [(&str, &str); 5] = [
    ("olivia", "olivia@acme.example"),
    ("adam", "adam@acme.example"),
    ("mia", "mia@acme.example"),
    ("cleo", "cleo@acme.example"),
    ("greta", "greta@globex.example"),
];

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    options: wheelhouse::options::Options,
}

pub fn config() -> Config {
    Config::read(&Flags::parse_from(["test"]).options).unwrap()
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// A folder that goes when its owner does.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("wheelhouse-server-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A database of the test's own: a file in a folder, or one of the PostgreSQL server that the environment names.
pub struct Database {
    pub url: String,
    pub folder: Option<Folder>,
}

impl Database {
    /// Empty, or a copy of another, which nobody may have open.
    pub async fn new(kind: Kind, copied: Option<&Self>) -> Self {
        match kind {
            Kind::Sqlite => {
                let folder = Folder::new();
                let file = folder.path().join("test.db");
                if let Some(copied) = copied.and_then(|other| other.folder.as_ref()) {
                    std::fs::copy(copied.path().join("test.db"), &file).unwrap();
                }
                Self {
                    url: format!("sqlite://{}", file.display()),
                    folder: Some(folder),
                }
            }
            Kind::Postgres => {
                let server = std::env::var("WHEELHOUSE_TEST_POSTGRES_URL").expect(
                    "WHEELHOUSE_TEST_POSTGRES_URL names a PostgreSQL server; bin/test starts one",
                );
                let name = format!("wheelhouse_{}", Uuid::new_v4().simple());
                let template = copied.map_or_else(
                    || "template1".to_owned(),
                    |other| other.url.rsplit_once('/').unwrap().1.to_owned(),
                );
                let admin = store::db::sea_orm::Database::connect(server.as_str())
                    .await
                    .unwrap();
                admin
                    .execute_unprepared(&format!("CREATE DATABASE {name} TEMPLATE {template}"))
                    .await
                    .unwrap();
                admin.close().await.unwrap();
                let (base, _) = server.rsplit_once('/').unwrap();
                Self {
                    url: format!("{base}/{name}"),
                    folder: None,
                }
            }
        }
    }
}

/// Where the tests' server stands: a demo on this machine.
pub fn site() -> Site {
    Site {
        public_url: ORIGIN.into(),
        sends_mail: false,
        demo: true,
    }
}

pub async fn context(database: &Database, site: Site, limits: AuthLimits) -> AppContext {
    let db = Db::connect(&database.url).await.unwrap();
    db.migrate().await.unwrap();
    AppContext::new(
        db,
        site,
        MasterKey::new([7; 32]),
        Passwords::quick_for_tests(),
        limits,
    )
}

pub fn state(ctx: &AppContext) -> AppState {
    let config = config();
    AppState::new(
        ctx,
        serve::leptos_options(&config).unwrap(),
        &config,
        Metrics::default(),
        CancellationToken::new(),
    )
}

pub fn info() -> RequestInfo {
    RequestInfo {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user_agent: "test".into(),
    }
}

/// The demo with everybody signed in, in a database that can be copied: each case of a matrix gets its own.
pub struct Template {
    kind: Kind,
    database: Database,
    pub cookies: BTreeMap<&'static str, Secret>,
}

impl Template {
    pub async fn new(kind: Kind) -> Self {
        let database = Database::new(kind, None).await;
        let ctx = context(&database, site(), AuthLimits::off()).await;
        demo::demo(&ctx).await.unwrap();
        let mut cookies = BTreeMap::new();
        for (name, email) in PEOPLE {
            let begun = sessions::sign_in(&ctx, &info(), email, &Secret::from(demo::PASSWORD))
                .await
                .unwrap();
            cookies.insert(name, begun.cookie);
        }
        ctx.db().clone().close().await.unwrap();
        Self {
            kind,
            database,
            cookies,
        }
    }

    pub async fn copy(&self) -> Server {
        self.copy_as(site(), AuthLimits::off()).await
    }

    pub async fn copy_as(&self, site: Site, limits: AuthLimits) -> Server {
        let database = Database::new(self.kind, Some(&self.database)).await;
        let ctx = context(&database, site, limits).await;
        let state = state(&ctx);
        Server {
            router: http::router(state.clone()),
            state,
            ctx,
            cookies: self.cookies.clone(),
            database,
        }
    }
}

/// A server that is asked without a network.
pub struct Server {
    pub router: Router,
    pub state: AppState,
    pub ctx: AppContext,
    pub cookies: BTreeMap<&'static str, Secret>,
    pub database: Database,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The value of a cookie that the answer sets.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok()?.split(';').next()?.split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
            .next_back()
    }
}

impl Server {
    pub async fn new(kind: Kind) -> Self {
        Template::new(kind).await.copy().await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    fn session(&self, who: &str) -> String {
        self.cookies
            .get(who)
            .map(|cookie| {
                let https = self.ctx.site().is_https();
                format!("{}={}", cookie_name(https), cookie.expose())
            })
            .unwrap_or_default()
    }

    /// Asks for a page as a browser does. `who` is nobody if it is no name.
    pub async fn page(&self, who: &str, path: &str) -> Answer {
        self.page_with(who, path, "").await
    }

    pub async fn page_with(&self, who: &str, path: &str, more_cookies: &str) -> Answer {
        let request = Request::get(path)
            .header(header::ACCEPT, "text/html")
            .header(
                header::COOKIE,
                format!("{}; {more_cookies}", self.session(who)),
            )
            .body(Body::empty())
            .unwrap();
        self.send(request).await
    }

    /// Calls a server function as the script does.
    pub async fn call(&self, who: &str, function: &str, fields: &[(&str, String)]) -> Answer {
        self.post(who, function, fields, "application/json").await
    }

    /// Posts a form as a browser without script does.
    pub async fn submit(&self, who: &str, function: &str, fields: &[(&str, String)]) -> Answer {
        self.post(who, function, fields, "text/html").await
    }

    async fn post(
        &self,
        who: &str,
        function: &str,
        fields: &[(&str, String)],
        accept: &str,
    ) -> Answer {
        let body = encode(fields);
        let request = Request::post(function)
            .header(header::CONTENT_LENGTH, body.len())
            .header(header::ACCEPT, accept)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header(header::COOKIE, self.session(who))
            .body(Body::from(body))
            .unwrap();
        self.send(request).await
    }
}

pub fn encode(fields: &[(&str, String)]) -> String {
    serde_urlencoded::to_string(fields).unwrap()
}

/// Freezes every workspace, as when nobody has paid.
pub async fn freeze(ctx: &AppContext) {
    use store::db::entity::{Subscription, subscription::Column};
    use store::db::sea_orm::{EntityTrait, sea_query::Expr};
    let tx = ctx.db().begin().await.unwrap();
    Subscription::update_many()
        .col_expr(
            Column::FreezesAt,
            Expr::value(Some(domain::Timestamp::now())),
        )
        .exec(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

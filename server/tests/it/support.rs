//! The demo behind the real router, with a signed-in browser for each person.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use app::db::{Db, seed};
use app::domain::Secret;
use app::house::{House, Site};
use app::keyring::Keyring;
use app::limits::Limits;
use app::passwords::Passwords;
use app::session::{RequestInfo, store};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use clap::Parser;
use sea_orm::{ConnectionTrait, Database};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use wheelhouse::config::Config;
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
    options: wheelhouse::cli::Options,
}

pub fn config() -> Config {
    Config::read(&Flags::parse_from(["test"]).options).unwrap()
}

/// A folder that goes when its owner does.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "wheelhouse-server-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
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

pub async fn house(file: &Path, limits: Limits) -> House {
    house_at(&format!("sqlite://{}", file.display()), limits).await
}

/// A house in a new database of the PostgreSQL server that `bin/test` starts.
pub async fn house_on_postgres(limits: Limits) -> House {
    let server = std::env::var("WHEELHOUSE_TEST_POSTGRES_URL")
        .expect("WHEELHOUSE_TEST_POSTGRES_URL names a PostgreSQL server; bin/test starts one");
    let name = format!("wheelhouse_{}", sea_orm::prelude::Uuid::new_v4().simple());
    let admin = Database::connect(server.as_str()).await.unwrap();
    admin
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    admin.close().await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    house_at(&format!("{base}/{name}"), limits).await
}

async fn house_at(url: &str, limits: Limits) -> House {
    let db = Db::connect(url).await.unwrap();
    db.migrate().await.unwrap();
    let site = Site {
        public_url: ORIGIN.into(),
        sends_mail: false,
        demo: true,
    };
    House::new(
        db,
        site,
        Keyring::new([7; 32]),
        Passwords::quick_for_tests(),
        limits,
    )
}

pub fn router(house: &House) -> Router {
    let config = config();
    http::router(
        house,
        serve::leptos_options(&config).unwrap(),
        &config,
        CancellationToken::new(),
    )
}

pub fn info() -> RequestInfo {
    RequestInfo {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user_agent: "test".into(),
    }
}

/// The demo with everybody signed in, in a database file that can be copied: each case of a matrix gets its own.
pub struct Template {
    folder: Folder,
    pub cookies: BTreeMap<&'static str, Secret>,
}

impl Template {
    pub async fn new() -> Self {
        let folder = Folder::new();
        let house = house(&folder.path().join("template.db"), Limits::off()).await;
        seed::demo(&house).await.unwrap();
        let mut cookies = BTreeMap::new();
        for (name, email) in PEOPLE {
            let begun = store::sign_in(&house, &info(), email, &Secret::from(seed::PASSWORD))
                .await
                .unwrap();
            cookies.insert(name, begun.cookie);
        }
        house.db().clone().close().await.unwrap();
        Self { folder, cookies }
    }

    pub async fn copy(&self) -> Server {
        let folder = Folder::new();
        std::fs::copy(
            self.folder.path().join("template.db"),
            folder.path().join("test.db"),
        )
        .unwrap();
        let house = house(&folder.path().join("test.db"), Limits::off()).await;
        Server {
            router: router(&house),
            house,
            cookies: self.cookies.clone(),
            _folder: folder,
        }
    }
}

/// A server that is asked without a network.
pub struct Server {
    pub router: Router,
    pub house: House,
    pub cookies: BTreeMap<&'static str, Secret>,
    _folder: Folder,
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
    pub fn of(house: House, folder: Folder) -> Self {
        Self {
            router: router(&house),
            house,
            cookies: BTreeMap::new(),
            _folder: folder,
        }
    }

    pub async fn new() -> Self {
        Template::new().await.copy().await
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
            .map(|cookie| format!("wheelhouse_session={}", cookie.expose()))
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
        let request = Request::post(function)
            .header(header::ACCEPT, accept)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header(header::COOKIE, self.session(who))
            .body(Body::from(encode(fields)))
            .unwrap();
        self.send(request).await
    }
}

pub fn encode(fields: &[(&str, String)]) -> String {
    serde_urlencoded::to_string(fields).unwrap()
}

//! The demo's people in a database of the test's own.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use domain::Secret;
use domain::catalog::Catalog;
use sea_orm::prelude::Uuid;
use sea_orm::{ConnectionTrait, Database};
use store::api_keys::usage::KeyUsage;
use store::auth::api_keys::ApiKeyCache;
use store::auth::{Actor, Caller, RequestInfo, SignedInUser, sessions};
use store::context::{AppContext, Site};
use store::db::Db;
use store::demo;
use store::master_key::MasterKey;
use store::passwords::Passwords;
use store::rate_limit::auth::AuthLimits;

pub const OLIVIA: &str = "olivia@acme.example";
pub const ADAM: &str = "adam@acme.example";
pub const MIA: &str = "mia@acme.example";
pub const CLEO: &str = "cleo@acme.example";
pub const GRETA: &str = "greta@globex.example";

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// The demo, in a fresh database.
pub struct TestEnv {
    pub ctx: AppContext,
    pub keys: Arc<ApiKeyCache>,
    pub usage: KeyUsage,
    _files: Option<Files>,
}

struct Files(std::path::PathBuf);

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub async fn database_url(kind: Kind) -> (String, Option<std::path::PathBuf>) {
    let name = format!("wheelhouse_{}", Uuid::new_v4().simple());
    match kind {
        Kind::Sqlite => {
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            (
                format!("sqlite://{}", folder.join("test.db").display()),
                Some(folder),
            )
        }
        Kind::Postgres => {
            let server = std::env::var("WHEELHOUSE_TEST_POSTGRES_URL").expect(
                "WHEELHOUSE_TEST_POSTGRES_URL names a PostgreSQL server; bin/test starts one",
            );
            let admin = Database::connect(server.as_str()).await.unwrap();
            admin
                .execute_unprepared(&format!("CREATE DATABASE {name}"))
                .await
                .unwrap();
            admin.close().await.unwrap();
            let (base, _) = server.rsplit_once('/').unwrap();
            (format!("{base}/{name}"), None)
        }
    }
}

impl TestEnv {
    pub async fn new(kind: Kind) -> Self {
        let (url, folder) = database_url(kind).await;
        let db = Db::connect(&url).await.unwrap();
        db.migrate().await.unwrap();
        let site = Site {
            public_url: "https://settings.example".into(),
            sends_mail: false,
            demo: false,
        };
        let ctx = AppContext::new(
            db,
            site,
            MasterKey::new([7; 32]),
            Passwords::quick_for_tests(),
            AuthLimits::off(),
        );
        // Tests invite more people than a real plan holds.
        let mut catalog = Catalog::built_in();
        for plan in &mut catalog.plans {
            plan.seats *= 20;
        }
        ctx.set_catalog(catalog);
        demo::demo(&ctx).await.unwrap();
        Self {
            keys: ApiKeyCache::new(ctx.key_changes()).into(),
            usage: KeyUsage::default(),
            ctx,
            _files: folder.map(Files),
        }
    }

    /// The same context over the same database with other passwords and limits, and the built-in catalogue.
    pub fn house_with(&self, passwords: Passwords, limits: AuthLimits) -> AppContext {
        AppContext::new(
            self.ctx.db().clone(),
            self.ctx.site().clone(),
            self.ctx.master_key().clone(),
            passwords,
            limits,
        )
    }

    /// A request from a browser with this session cookie, or with none.
    pub fn caller(&self, cookie: Option<&Secret>) -> Caller {
        Caller::new(
            self.ctx.clone(),
            info(),
            cookie.map(|cookie| cookie.expose().to_owned()),
        )
    }

    pub async fn cookie(&self, email: &str) -> Secret {
        sessions::sign_in(&self.ctx, &info(), email, &Secret::from(demo::PASSWORD))
            .await
            .unwrap()
            .cookie
    }

    pub async fn person(&self, email: &str) -> SignedInUser {
        self.caller(Some(&self.cookie(email).await))
            .person()
            .await
            .unwrap()
    }

    pub async fn actor(&self, email: &str, workspace: &str) -> Actor {
        self.caller(Some(&self.cookie(email).await))
            .actor(workspace)
            .await
            .unwrap()
    }

    /// The texts of the letters to someone, oldest first.
    pub async fn letters_to(&self, email: &str) -> Vec<String> {
        use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
        use store::db::entity::{OutboxEmail, outbox_email::Column};
        OutboxEmail::find()
            .filter(Column::Recipient.eq(email))
            .order_by_asc(Column::Id)
            .all(self.ctx.db().read())
            .await
            .unwrap()
            .into_iter()
            .map(|mail| {
                let contents = store::email::decrypt(&self.ctx, &mail).expect("the letter opens");
                format!("{}\n{}", mail.subject, contents.text)
            })
            .collect()
    }

    /// How many events of a type there are.
    pub async fn events(&self, event_type: domain::catalog::EventType) -> u64 {
        use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
        use store::db::entity::{Event, event::Column};
        Event::find()
            .filter(Column::EventType.eq(event_type))
            .count(self.ctx.db().read())
            .await
            .unwrap()
    }
}

/// Makes every sign-in too old for a sensitive change.
pub async fn age_sign_ins(env: &TestEnv) {
    use sea_orm::{EntityTrait, sea_query::Expr};
    use store::db::entity::{Session, session::Column};
    let long_ago = domain::Timestamp::now().before(domain::minutes(16));
    let tx = env.ctx.db().begin().await.unwrap();
    Session::update_many()
        .col_expr(Column::AuthenticatedAt, Expr::value(long_ago))
        .exec(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Whose key this is, for a program that shows it from this IP address.
pub async fn check_key(
    keys: &ApiKeyCache,
    ctx: &AppContext,
    token: &str,
    address: IpAddr,
) -> Result<store::auth::ApiKeyPrincipal, store::auth::api_keys::KeyRefusal> {
    let caller = store::rate_limit::auth::KeyCaller::Network(address);
    store::auth::api_keys::check(keys, ctx, token, address, caller).await
}

/// A request from another place than [`info`]'s.
pub fn info_from(last: u8) -> RequestInfo {
    RequestInfo {
        address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, last)),
        ..info()
    }
}

pub fn info() -> RequestInfo {
    RequestInfo {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        user_agent: "Mozilla/5.0 (X11; Linux) Firefox/140.0".into(),
    }
}

/// The secret part of the last link to `path` in a letter.
pub fn token_in(message: &str, path: &str) -> String {
    let start = message
        .rfind(path)
        .unwrap_or_else(|| panic!("no link to {path} in {message}"))
        + path.len();
    message[start..]
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned()
}

/// A test that runs on both databases.
macro_rules! both {
    ($(async fn $name:ident($env:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, reason = "not every test needs all that its file brings in")]
            use super::*;

            async fn test($env: &$crate::support::TestEnv) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                test(&$crate::support::TestEnv::new($crate::support::Kind::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                test(&$crate::support::TestEnv::new($crate::support::Kind::Postgres).await).await;
            }
        }
    )*};
}
pub(crate) use both;

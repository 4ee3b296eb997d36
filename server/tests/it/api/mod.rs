//! The public API: who gets which answer from every documented call, and what its callers rely on.

mod contacts;
mod idempotency;
mod keys;
mod matrix;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use domain::catalog::{EventType, Mode, Scope};
use domain::{ApiKeyId, Timestamp, days};
use serde_json::{Value, json};
use store::context::AppContext;
use store::db::entity;
use store::db::sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, Set,
};
use store::master_key::hash_token;
use wheelhouse::api;

use crate::support::{Answer, Kind, Server};

/// A key, as some program holds it.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: ApiKeyId,
    pub token: String,
}

/// Who makes a key, and how it differs from a live one of Acme's that works.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    pub workspace: &'a str,
    pub mode: Mode,
    pub scopes: &'a [Scope],
    pub revoked: bool,
    pub expired: bool,
    pub networks: &'a [&'a str],
}

const ALL: &[Scope] = &Scope::ALL;
pub const ACME: Wish = Wish {
    workspace: "acme",
    mode: Mode::Live,
    scopes: ALL,
    revoked: false,
    expired: false,
    networks: &[],
};

pub async fn make_key(ctx: &AppContext, wish: Wish<'_>) -> Key {
    let workspace = entity::Workspace::find()
        .filter(entity::workspace::Column::Slug.eq(wish.workspace))
        .one(ctx.db().read())
        .await
        .unwrap()
        .unwrap();
    let token = store::auth::key_token::KeyToken::generate(wish.mode);
    let token = token.secret().expose().to_owned();
    let now = Timestamp::now();
    let id = ApiKeyId::new();
    let tx = ctx.db().begin().await.unwrap();
    entity::api_key::ActiveModel {
        id: Set(id),
        workspace_id: Set(workspace.id),
        mode: Set(wish.mode),
        name: Set("Importer".to_owned()),
        token_hash: Set(hash_token(&token)),
        token_start: Set(token[..12].to_owned()),
        token_end: Set(token[token.len() - 4..].to_owned()),
        scopes: Set(json!(wish.scopes)),
        allowed_networks: Set(json!(wish.networks)),
        created_by: Set(None),
        created_by_name: Set("Olivia Owens".to_owned()),
        created_at: Set(now.before(days(2))),
        updated_at: Set(now.before(days(2))),
        expires_at: Set(wish.expired.then(|| now.before(days(1)))),
        last_used_at: Set(None),
        last_used_address: Set(None),
        replaced_by: Set(None),
        retires_at: Set(None),
        revoked_at: Set(wish.revoked.then_some(now)),
        revoked_by_name: Set(None),
    }
    .insert(&tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    Key { id, token }
}

/// What a program sends.
pub struct Call<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub body: Option<Value>,
    pub headers: Vec<(&'a str, String)>,
}

pub fn get(path: &str) -> Call<'_> {
    Call {
        method: "GET",
        path,
        body: None,
        headers: Vec::new(),
    }
}

pub fn post(path: &str, body: Value) -> Call<'_> {
    Call {
        method: "POST",
        path,
        body: Some(body),
        headers: Vec::new(),
    }
}

impl Call<'_> {
    pub fn once(mut self, name: &str) -> Self {
        self.headers.push(("idempotency-key", name.to_owned()));
        self
    }

    fn request(self, token: &str) -> Request<Body> {
        let mut request =
            Request::builder()
                .method(self.method)
                .uri(format!("{}{}", api::ROOT, self.path));
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        match self.body {
            None => request.body(Body::empty()),
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
        }
        .unwrap()
    }
}

pub async fn ask(server: &Server, key: &Key, call: Call<'_>) -> Answer {
    server.send(call.request(&key.token)).await
}

pub fn read(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("no JSON: {}", answer.body))
}

/// The problem in an answer, which is as RFC 9457 wants it.
pub fn problem(answer: &Answer) -> Value {
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{}",
        answer.body
    );
    let problem = read(answer);
    assert_eq!(problem["status"], answer.status.as_u16());
    for field in ["type", "title", "detail"] {
        assert!(problem[field].is_string(), "{field}: {problem}");
    }
    problem
}

fn grace() -> Value {
    json!({"name": "Grace Kim", "email": "grace@hanok.example", "stage": "lead", "tags": ["vip"]})
}

/// A webhook that hears of won contacts.
pub fn hook() -> Value {
    json!({"url": "https://hooks.example.com/in", "event_types": ["contact.stage_changed"], "filters": [
        {"path": "data.to", "operator": "equals", "value": "won"}
    ]})
}

#[tokio::test(flavor = "multi_thread")]
async fn entitlements_are_those_of_the_plan() {
    let server = Server::new(Kind::Sqlite).await;
    let key = make_key(
        &server.ctx,
        Wish {
            scopes: &[],
            ..ACME
        },
    )
    .await;
    let told = read(&ask(&server, &key, get("/entitlements")).await);
    assert!(told["current_period_end"].as_str().unwrap().ends_with('Z'));
    for (field, value) in [
        ("plan", json!("scale")),
        ("status", json!("active")),
        ("frozen", json!(false)),
        ("cdr_mode", json!(false)),
        (
            "limits",
            json!({"seats": 10, "linkedin_accounts": 3, "credits_per_month": 2000}),
        ),
    ] {
        assert_eq!(told[field], value, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn live_and_test_are_worlds_apart_and_so_are_workspaces() {
    let server = Server::new(Kind::Sqlite).await;
    let live = make_key(&server.ctx, ACME).await;
    let test = make_key(
        &server.ctx,
        Wish {
            mode: Mode::Test,
            ..ACME
        },
    )
    .await;
    let globex = make_key(
        &server.ctx,
        Wish {
            workspace: "globex",
            ..ACME
        },
    )
    .await;

    let made = ask(&server, &test, post("/contacts", grace())).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let id = read(&made)["id"].as_str().unwrap().to_owned();
    let path = format!("/contacts/{id}");
    assert_eq!(ask(&server, &test, get(&path)).await.status, 200);
    assert_eq!(ask(&server, &live, get(&path)).await.status, 404);
    assert_eq!(ask(&server, &globex, get(&path)).await.status, 404);

    let names = async |key: &Key, path: &str| {
        let page = read(&ask(&server, key, get(path)).await);
        let names = page["data"].as_array().unwrap().iter();
        names
            .map(|contact| contact["name"].as_str().unwrap().to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        names(&test, "/contacts").await,
        BTreeSet::from(["Grace Kim".to_owned()])
    );
    let acme = names(&live, "/contacts").await;
    assert!(acme.len() >= 12 && acme.is_disjoint(&names(&globex, "/contacts").await));
    let found = names(&live, "/contacts/search?tag=vip").await;
    assert!(found.is_empty(), "{found:?}");

    // What the test key made is known as such, and tells nobody.
    let event = entity::Event::find()
        .filter(entity::event::Column::ActorId.eq(test.id.uuid()))
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (event.event_type, event.mode),
        (EventType::ContactCreated, Mode::Test)
    );
    wheelhouse::work::dispatch::dispatch_all(&server.ctx)
        .await
        .unwrap();
    let told = entity::Notification::find()
        .filter(entity::notification::Column::EventId.eq(event.id))
        .count(server.ctx.db().read())
        .await
        .unwrap();
    assert_eq!(told, 0);
}

async fn count(ctx: &AppContext, event_type: EventType) -> u64 {
    entity::Event::find()
        .filter(entity::event::Column::EventType.eq(event_type))
        .count(ctx.db().read())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_gets_nothing_and_no_cookie_opens_the_api() {
    let server = Server::new(Kind::Sqlite).await;
    let key = make_key(&server.ctx, ACME).await;
    let mut call = get("/me");
    call.headers.push(("origin", "https://evil.example".into()));
    let answer = ask(&server, &key, call).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("set-cookie"), "");
    assert_eq!(server.page("olivia", "/api/v1/me").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_is_our_own_page() {
    let server = Server::new(Kind::Sqlite).await;
    for (path, kind) in [
        ("/api/docs", "text/html; charset=utf-8"),
        ("/api/docs.js", "text/javascript; charset=utf-8"),
        ("/api/docs.css", "text/css; charset=utf-8"),
        ("/api/openapi.json", "application/json"),
    ] {
        let answer = server.page("nobody", path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), kind);
        assert!(!answer.body.contains("https://cdn"), "{path}");
    }
    let policy = server.page("nobody", "/api/docs").await;
    let policy = policy.header("content-security-policy").to_owned();
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
}

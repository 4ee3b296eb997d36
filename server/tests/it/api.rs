//! The public API: who gets which answer from every documented call, and what its callers rely on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

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
use store::rate_limit::auth::AuthLimits;
use wheelhouse::api;

use crate::support::{Answer, Kind, Server, Template, freeze, site, state};

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

/// The cheapest use of credits.
fn answer() -> Value {
    json!({"feature": "quick_answer"})
}

/// A webhook that hears of won contacts.
pub fn hook() -> Value {
    json!({"url": "https://hooks.example.com/in", "event_types": ["contact.stage_changed"], "filters": [
        {"path": "data.to", "operator": "equals", "value": "won"}
    ]})
}

/// A call of every documented operation that succeeds for a key that may. [`subject`] knows whose id `{id}` is.
fn calls(token: &str) -> BTreeMap<(&'static str, &'static str), Option<Value>> {
    BTreeMap::from([
        (("get", "/me"), None),
        (("get", "/authorize"), None),
        (("get", "/contacts"), None),
        (("get", "/contacts/search"), None),
        (("get", "/contacts/{id}"), None),
        (("post", "/contacts"), Some(grace())),
        (("put", "/contacts/{id}"), Some(grace())),
        (("delete", "/contacts/{id}"), None),
        (
            ("post", "/events"),
            Some(json!({"type": "automation.completed", "data": {"name": "Welcome"}})),
        ),
        (("get", "/entitlements"), None),
        (("get", "/members"), None),
        (("get", "/credits"), None),
        (("get", "/credits/entries"), None),
        (("post", "/credits/spend"), Some(answer())),
        (("post", "/credits/holds"), Some(answer())),
        (("post", "/credits/holds/{id}/capture"), None),
        (("post", "/credits/holds/{id}/release"), None),
        (("post", "/keys/verify"), Some(json!({"key": token}))),
        (("get", "/webhooks"), None),
        (("post", "/webhooks"), Some(hook())),
        (("get", "/webhooks/{id}"), None),
        (
            ("patch", "/webhooks/{id}"),
            Some(json!({"status": "paused"})),
        ),
        (("delete", "/webhooks/{id}"), None),
        (("post", "/webhooks/{id}/test"), None),
        (("post", "/webhooks/{id}/rotate-secret"), None),
        (("get", "/webhooks/{id}/deliveries"), None),
        (("post", "/deliveries/{id}/resend"), None),
    ])
}

/// The id of something new of Acme's that a path is about: a live contact, a hold, a webhook, a delivery.
async fn subject(server: &Server, key: &Key, path: &str) -> String {
    let call = match path.split('/').nth(1) {
        Some("contacts") => post("/contacts", grace()),
        Some("credits") => post("/credits/holds", answer()),
        _ => post("/webhooks", hook()),
    };
    let made = read(&ask(server, key, call).await);
    let id = made["id"].as_str().unwrap();
    if !path.starts_with("/deliveries") {
        return id.to_owned();
    }
    let test = format!("/webhooks/{id}/test");
    let sent = read(&ask(server, key, post(&test, json!({}))).await);
    sent["id"].as_str().unwrap().to_owned()
}

fn documented() -> BTreeMap<(String, String), Vec<String>> {
    let mut found = BTreeMap::new();
    for (path, item) in api::document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scopes = operation["security"][0]["key"].as_array().unwrap();
            let scopes = scopes
                .iter()
                .map(|scope| scope.as_str().unwrap().to_owned());
            found.insert((method.clone(), path.clone()), scopes.collect());
        }
    }
    found
}

/// One of each kind, for a call that needs these scopes.
async fn every_kind_of_key(ctx: &AppContext, needed: &[Scope]) -> Vec<(&'static str, Key)> {
    let all_but: Vec<Scope> = Scope::ALL
        .into_iter()
        .filter(|scope| !needed.contains(scope))
        .collect();
    let no_key = |token: &str| Key {
        id: ApiKeyId::new(),
        token: token.to_owned(),
    };
    let wishes = [
        (
            "unscoped",
            Wish {
                scopes: &all_but,
                ..ACME
            },
        ),
        (
            "scoped",
            Wish {
                scopes: needed,
                ..ACME
            },
        ),
        (
            "test",
            Wish {
                mode: Mode::Test,
                ..ACME
            },
        ),
        (
            "globex",
            Wish {
                workspace: "globex",
                ..ACME
            },
        ),
        (
            "revoked",
            Wish {
                revoked: true,
                ..ACME
            },
        ),
        (
            "expired",
            Wish {
                expired: true,
                ..ACME
            },
        ),
        (
            "elsewhere",
            Wish {
                networks: &["203.0.113.0/24"],
                ..ACME
            },
        ),
    ];
    let mut keys = vec![("none", no_key("")), ("garbage", no_key("wh_live_garbage"))];
    for (name, wish) in wishes {
        keys.push((name, make_key(ctx, wish).await));
    }
    keys
}

/// A refusal says what it must: how to authenticate, which scope is missing.
fn check_refusal(answer: &Answer, needed: &[Scope], call: &str) {
    let problem = problem(answer);
    match answer.status.as_u16() {
        401 => assert!(
            answer.header("www-authenticate").starts_with("Bearer"),
            "{call}"
        ),
        403 => assert_eq!(problem["required_scope"], json!(needed[0]), "{call}"),
        404 => assert!(call.contains("{id}"), "{call}"),
        other => panic!("{other} for {call}: {problem}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_call_for_every_kind_of_key() {
    let server = Server::new(Kind::Sqlite).await;
    let ctx = &server.ctx;
    let full = make_key(ctx, ACME).await;
    let listed = calls(&full.token);
    let documented = documented();
    let known: BTreeSet<(&str, &str)> = documented
        .keys()
        .map(|(method, path)| (method.as_str(), path.as_str()))
        .collect();
    assert_eq!(
        known,
        listed.keys().copied().collect(),
        "every documented call stands in this table"
    );

    let mut table = format!("{:<33}", "");
    for (name, _) in every_kind_of_key(ctx, &[]).await {
        let _ = write!(table, " {name:>9}");
    }
    table.push('\n');
    for ((method, path), body) in &listed {
        let needed: Vec<Scope> = documented[&((*method).to_owned(), (*path).to_owned())]
            .iter()
            .map(|scope| scope.parse().unwrap())
            .collect();
        let name = format!("{method} {path}");
        let _ = write!(table, "{name:<33}");
        for (_, key) in every_kind_of_key(ctx, &needed).await {
            let path = if path.contains("{id}") {
                path.replace("{id}", &subject(&server, &full, path).await)
            } else {
                (*path).to_owned()
            };
            let call = Call {
                method: &method.to_uppercase(),
                path: &path,
                body: body.clone(),
                headers: Vec::new(),
            };
            let answer = ask(&server, &key, call).await;
            let _ = write!(table, " {:>9}", answer.status.as_u16());
            if !answer.status.is_success() {
                check_refusal(&answer, &needed, &name);
            }
        }
        table.push('\n');
    }
    insta::assert_snapshot!("api", table);
}

/// What every call answers whose key could do everything, when the workspace is frozen: reads as ever, and no writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_workspace_answers_and_changes_nothing() {
    let server = Server::new(Kind::Sqlite).await;
    let full = make_key(&server.ctx, ACME).await;
    let mut asked = Vec::new();
    for ((method, path), body) in calls(&full.token) {
        let path = if path.contains("{id}") {
            path.replace("{id}", &subject(&server, &full, path).await)
        } else {
            path.to_owned()
        };
        asked.push((method, path, body));
    }
    freeze(&server.ctx).await;
    // Another, of which nothing is remembered yet.
    let key = make_key(&server.ctx, ACME).await;
    for (method, path, body) in asked {
        let call = Call {
            method: &method.to_uppercase(),
            path: &path,
            body,
            headers: Vec::new(),
        };
        let answer = ask(&server, &key, call).await;
        // Asking about a key is a question, whatever its method.
        if method == "get" || path == "/keys/verify" {
            assert_eq!(answer.status, 200, "{method} {path}");
        } else {
            assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
            let problem = problem(&answer);
            assert_eq!(
                problem["type"], "/api/docs#problem-frozen",
                "{method} {path}"
            );
        }
    }
    let entitlements = read(&ask(&server, &key, get("/entitlements")).await);
    assert_eq!(entitlements["frozen"], true);
    assert_eq!(entitlements["status"], "frozen");
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

/// Twenty times the same at once: one contact, one event, one answer.
async fn races(ctx: AppContext) {
    use tower::ServiceExt;
    let router = wheelhouse::http::router(state(&ctx));
    let key = make_key(&ctx, ACME).await;
    let before = count(&ctx, EventType::ContactCreated).await;
    let tries = (0..20).map(|_| {
        let request = post("/contacts", grace())
            .once("import-1")
            .request(&key.token);
        tokio::spawn(router.clone().oneshot(request))
    });
    let mut ids = BTreeSet::new();
    let mut replayed = 0;
    for attempt in tries.collect::<Vec<_>>() {
        let response = attempt.await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        replayed += u32::from(response.headers().contains_key("idempotency-replayed"));
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        ids.insert(String::from_utf8(body.to_vec()).unwrap());
    }
    assert_eq!((ids.len(), replayed), (1, 19), "{ids:?}");
    assert_eq!(count(&ctx, EventType::ContactCreated).await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_twenty_times_at_once_is_done_once_on_sqlite() {
    races(Server::new(Kind::Sqlite).await.ctx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_twenty_times_at_once_is_done_once_on_postgresql() {
    races(Server::new(Kind::Postgres).await.ctx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_stands_for_one_request_of_one_api_key() {
    let server = Server::new(Kind::Sqlite).await;
    let key = make_key(&server.ctx, ACME).await;
    let other = make_key(&server.ctx, ACME).await;

    // A refusal is not kept: mended, the request may come again under the same key.
    let bad = ask(
        &server,
        &key,
        post("/contacts", json!({"name": ""})).once("a"),
    )
    .await;
    assert_eq!(bad.status, 422);
    let first = ask(&server, &key, post("/contacts", grace()).once("a")).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.header("idempotency-replayed"), "");

    let again = ask(&server, &key, post("/contacts", grace()).once("a")).await;
    assert_eq!(
        (again.status, again.body.as_str()),
        (first.status, first.body.as_str())
    );
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("content-type"), "application/json");

    let changed = ask(
        &server,
        &key,
        post("/contacts", json!({"name": "Else"})).once("a"),
    )
    .await;
    assert_eq!(changed.status, 409);
    assert_eq!(
        problem(&changed)["type"],
        "/api/docs#problem-idempotency-key-reused"
    );
    let elsewhere = ask(
        &server,
        &key,
        post("/keys/verify", json!({"key": "x"})).once("a"),
    )
    .await;
    assert_eq!(elsewhere.status, 409, "another path is another request");

    let theirs = ask(&server, &other, post("/contacts", grace()).once("a")).await;
    assert_eq!(theirs.status, 201);
    assert_ne!(read(&theirs)["id"], read(&first)["id"]);

    for name in ["", "ä", &"x".repeat(256)] {
        let answer = ask(&server, &key, post("/contacts", grace()).once(name)).await;
        assert_eq!(answer.status, 422, "{name}");
        assert!(problem(&answer)["errors"]["Idempotency-Key"].is_string());
    }
    // What is kept is sealed: an answer may hold a secret.
    let kept = entity::IdempotencyKey::find()
        .all(server.ctx.db().read())
        .await
        .unwrap();
    let plain = kept
        .iter()
        .filter_map(|row| row.body.as_deref())
        .any(|body| body.windows(5).any(|part| part == b"Grace"));
    assert!(!plain);
    // One that cannot be opened is told as a failure, and not as one to wait for.
    let tx = server.ctx.db().begin().await.unwrap();
    entity::IdempotencyKey::update_many()
        .col_expr(
            entity::idempotency_key::Column::Body,
            store::db::sea_orm::sea_query::Expr::value(vec![7_u8; 80]),
        )
        .exec(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let lost = ask(&server, &key, post("/contacts", grace()).once("a")).await;
    assert_eq!(lost.status, 500, "{}", lost.body);
    assert!(lost.body.contains("can no longer be read"), "{}", lost.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_lives_and_every_step_is_an_event() {
    let server = Server::new(Kind::Sqlite).await;
    let key = make_key(&server.ctx, ACME).await;
    let made = read(&ask(&server, &key, post("/contacts", grace())).await);
    let path = format!("/contacts/{}", made["id"].as_str().unwrap());
    assert_eq!(made["stage"], "lead");
    assert!(made["created_at"].as_str().unwrap().ends_with('Z'));
    assert!(made.get("phone").is_none());

    let put = |body: Value| Call {
        method: "PUT",
        ..post(&path, body)
    };
    let same = ask(&server, &key, put(grace())).await;
    assert_eq!(read(&same), made, "nothing changed");
    assert_eq!(count(&server.ctx, EventType::ContactUpdated).await, 0);

    let moved = json!({"name": "Grace Kim", "stage": "won", "tags": ["vip", "korea"]});
    let moved = read(&ask(&server, &key, put(moved)).await);
    assert!(moved.get("email").is_none(), "what is left out is emptied");
    let last = async |event_type: EventType| {
        entity::Event::find()
            .filter(entity::event::Column::EventType.eq(event_type))
            .filter(entity::event::Column::ActorId.eq(key.id.uuid()))
            .one(server.ctx.db().read())
            .await
            .unwrap()
            .unwrap()
    };
    let updated = last(EventType::ContactUpdated).await;
    assert_eq!(updated.data["changed"], json!(["email", "stage", "tags"]));
    assert_eq!(updated.actor_kind, "key");
    let stage = last(EventType::ContactStageChanged).await.data;
    assert_eq!(
        (&stage["from"], &stage["to"]),
        (&json!("lead"), &json!("won"))
    );
    assert_eq!(
        last(EventType::ContactTagged).await.data["added"],
        json!(["korea"])
    );

    let gone = Call {
        method: "DELETE",
        ..get(&path)
    };
    let gone = ask(&server, &key, gone).await;
    assert_eq!((gone.status.as_u16(), gone.body.as_str()), (204, ""));
    assert_eq!(ask(&server, &key, get(&path)).await.status, 404);
    assert_eq!(
        last(EventType::ContactDeleted).await.data["name"],
        "Grace Kim"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_a_page_at_a_time() {
    let server = Server::new(Kind::Sqlite).await;
    let key = make_key(&server.ctx, ACME).await;
    let mut seen = Vec::new();
    let mut path = "/contacts?limit=5".to_owned();
    loop {
        let page = read(&ask(&server, &key, get(&path)).await);
        let ids = page["data"].as_array().unwrap().iter();
        seen.extend(ids.map(|contact| contact["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/contacts?limit=5&cursor={cursor}");
    }
    let mut sorted = seen.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!(seen, sorted, "each once, newest first");
    assert!(seen.len() > 10);

    let members = read(&ask(&server, &key, get("/members?limit=2")).await);
    assert_eq!(members["data"].as_array().unwrap().len(), 2);
    assert_eq!(members["data"][0]["email"], "olivia@acme.example");
    let cursor = members["next_cursor"].as_str().unwrap();
    let wrong = ask(&server, &key, get(&format!("/contacts?cursor={cursor}"))).await;
    assert_eq!(
        problem(&wrong)["errors"]["cursor"]
            .as_str()
            .map(str::is_empty),
        Some(false)
    );
    for bad in [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=1&limit=2",
        "cursor=*",
        "page=2",
    ] {
        let answer = ask(&server, &key, get(&format!("/contacts?{bad}"))).await;
        assert_eq!(answer.status, 422, "{bad}");
        problem(&answer);
    }
    for bad in ["q=%00", "tag=", "stage=client", "tags=vip"] {
        let answer = ask(&server, &key, get(&format!("/contacts/search?{bad}"))).await;
        assert_eq!(answer.status, 422, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_is_a_problem_that_says_what() {
    let server = Server::new(Kind::Sqlite).await;
    let key = make_key(&server.ctx, ACME).await;
    let raw = async |method: &str, path: &str, kind: &str, body: Vec<u8>| {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", api::ROOT))
            .header(header::AUTHORIZATION, format!("Bearer {}", key.token))
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body))
            .unwrap();
        server.send(request).await
    };
    let json = "application/json";
    for (answer, status) in [
        (
            raw("POST", "/contacts", json, b"{\"name\":".to_vec()).await,
            400,
        ),
        (raw("POST", "/contacts", json, b"\xff".to_vec()).await, 400),
        (raw("POST", "/contacts", json, Vec::new()).await, 400),
        (
            raw("POST", "/contacts", "text/plain", b"{}".to_vec()).await,
            415,
        ),
        (
            raw(
                "POST",
                "/contacts",
                json,
                b"{\"name\":\"x\",\"shoe\":1}".to_vec(),
            )
            .await,
            422,
        ),
        (
            raw("POST", "/contacts", json, vec![b' '; 1_100_000]).await,
            413,
        ),
        (raw("PATCH", "/contacts", json, b"{}".to_vec()).await, 405),
        (raw("GET", "/nothing/here", json, Vec::new()).await, 404),
        (raw("GET", "/contacts/con_x", json, Vec::new()).await, 404),
        (raw("GET", "/contacts/%ff", json, Vec::new()).await, 404),
        (
            raw(
                "POST",
                "/events",
                json,
                b"{\"type\":\"member.joined\",\"data\":{}}".to_vec(),
            )
            .await,
            422,
        ),
        (
            raw("GET", "/authorize?scope=everything", json, Vec::new()).await,
            422,
        ),
    ] {
        assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
        problem(&answer);
    }
    let allow = raw("PATCH", "/contacts", json, Vec::new()).await;
    assert!(allow.header("allow").contains("POST"));
    let outside = Request::get("/api/v1/nothing").body(Body::empty()).unwrap();
    assert_eq!(
        server.send(outside).await.status,
        401,
        "without a key there is not even a 404"
    );
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
async fn the_product_asks_about_a_key_that_it_was_shown() {
    let server = Server::new(Kind::Sqlite).await;
    let ctx = &server.ctx;
    let asking = make_key(
        ctx,
        Wish {
            scopes: &[Scope::KeysVerify],
            ..ACME
        },
    )
    .await;
    let verify = async |token: &str, more: Value| {
        let mut body = json!({"key": token});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let answer = ask(&server, &asking, post("/keys/verify", body)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        read(&answer)
    };
    let shown = make_key(
        ctx,
        Wish {
            mode: Mode::Test,
            scopes: &[Scope::TasksRead],
            ..ACME
        },
    )
    .await;
    let good = verify(&shown.token, json!({"scope": "tasks:read"})).await;
    assert_eq!(good["valid"], true);
    assert_eq!(good["key_id"], shown.id.to_string());
    assert_eq!(
        (&good["type"], &good["scopes"]),
        (&json!("test"), &json!(["tasks:read"]))
    );
    assert!(good["workspace"].as_str().unwrap().starts_with("ws_"));
    assert!(good.get("reason").is_none());

    let lacking = verify(&shown.token, json!({"scope": "tasks:write"})).await;
    assert_eq!(
        (&lacking["valid"], &lacking["reason"]),
        (&json!(false), &json!("scope_missing"))
    );
    let office = make_key(
        ctx,
        Wish {
            networks: &["203.0.113.0/24"],
            ..ACME
        },
    )
    .await;
    let there = verify(&office.token, json!({"address": "203.0.113.9"})).await;
    assert_eq!(there["valid"], true);
    for (wish, reason) in [
        (
            Wish {
                networks: &["203.0.113.0/24"],
                ..ACME
            },
            "address_not_allowed",
        ),
        (
            Wish {
                workspace: "globex",
                ..ACME
            },
            "unknown",
        ),
        (
            Wish {
                revoked: true,
                ..ACME
            },
            "revoked",
        ),
        (
            Wish {
                expired: true,
                ..ACME
            },
            "expired",
        ),
    ] {
        let key = make_key(ctx, wish).await;
        let answer = verify(&key.token, json!({})).await;
        assert_eq!(
            (&answer["valid"], &answer["reason"]),
            (&json!(false), &json!(reason))
        );
        assert_eq!(answer["workspace"], Value::Null, "{reason}");
    }
    assert_eq!(verify("hello", json!({})).await["reason"], "malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_asks_with_the_clients_own_key() {
    let server = Server::new(Kind::Sqlite).await;
    let scopes = &[Scope::TasksRead, Scope::TasksWrite];
    let key = make_key(&server.ctx, Wish { scopes, ..ACME }).await;
    let may = ask(
        &server,
        &key,
        get("/authorize?scope=tasks:read&scope=tasks:write"),
    )
    .await;
    assert_eq!(may.status, 200);
    assert_eq!(may.header("x-wheelhouse-key-id"), key.id.to_string());
    assert!(may.header("x-wheelhouse-workspace").starts_with("ws_"));
    assert_eq!(may.header("x-wheelhouse-type"), "live");
    assert_eq!(may.header("x-wheelhouse-scopes"), "tasks:read tasks:write");
    let may_not = ask(&server, &key, get("/authorize?scope=lists:read")).await;
    assert_eq!(may_not.status, 403);
    assert_eq!(problem(&may_not)["required_scope"], "lists:read");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_with_every_answer_and_held() {
    let template = Template::new(Kind::Sqlite).await;
    let server = template.copy_as(site(), AuthLimits::on()).await;
    let key = make_key(&server.ctx, ACME).await;
    let answer = ask(&server, &key, get("/me")).await;
    assert_eq!(
        answer.header("ratelimit-policy"),
        "\"key\";q=1000;w=10, \"workspace\";q=3000;w=10"
    );
    assert_eq!(
        answer.header("ratelimit"),
        "\"key\";r=999;t=1, \"workspace\";r=2999;t=1"
    );

    let stranger = || Request::get("/api/v1/me").body(Body::empty()).unwrap();
    let answer = server.send(stranger()).await;
    assert_eq!(answer.header("ratelimit-policy"), "\"address\";q=60;w=60");
    let mut refused = answer;
    for _ in 0..100 {
        if refused.status == 429 {
            break;
        }
        refused = server.send(stranger()).await;
    }
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    problem(&refused);
    assert_eq!(
        ask(&server, &key, get("/me")).await.status,
        200,
        "a valid key from the same address is not held back"
    );
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

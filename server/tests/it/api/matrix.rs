//! Who gets which answer from every documented call: one table under snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use domain::ApiKeyId;
use domain::catalog::{Mode, Scope};
use serde_json::{Value, json};
use store::context::AppContext;
use wheelhouse::api;

use super::{ACME, Call, Key, Wish, ask, get, grace, hook, make_key, post, problem, read};
use crate::support::{Answer, Kind, Server, freeze};

/// The cheapest use of credits.
fn answer() -> Value {
    json!({"feature": "quick_answer"})
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
            let scopes = operation["x-required-scopes"].as_array().unwrap();
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

//! What the product and a proxy ask about a key, and the limits of each key.

use axum::body::Body;
use axum::http::Request;
use domain::catalog::{Mode, Scope};
use serde_json::{Value, json};
use store::rate_limit::auth::AuthLimits;

use super::{ACME, Wish, ask, get, make_key, post, problem, read};
use crate::support::{Kind, Server, Template, site};

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

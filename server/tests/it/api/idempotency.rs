//! A request with an idempotency key is done once, however often it is sent.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use domain::catalog::EventType;
use serde_json::json;
use store::context::AppContext;
use store::db::entity;
use store::db::sea_orm::EntityTrait;

use super::{ACME, ask, count, grace, make_key, post, problem, read};
use crate::support::{Kind, Server, state};

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

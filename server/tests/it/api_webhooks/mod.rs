//! Webhooks through the public API: Acme's programs make them, change them and look after what was sent.

mod refusals;
mod separation;

use std::collections::BTreeSet;

use domain::catalog::{EventType, Scope};
use serde_json::{Value, json};
use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use crate::api::{ACME, Call, Key, Wish, ask, get, hook, make_key, post, read};
use crate::both::both;
use crate::support::{Kind, Server};

const WEBHOOKS: Wish = Wish {
    scopes: &[Scope::WebhooksWrite],
    ..ACME
};

fn patch(path: &str, body: Value) -> Call<'_> {
    Call {
        method: "PATCH",
        ..post(path, body)
    }
}

fn delete(path: &str) -> Call<'_> {
    Call {
        method: "DELETE",
        ..get(path)
    }
}

/// The answer's JSON, after a look at its status.
async fn good(server: &Server, key: &Key, call: Call<'_>, status: u16) -> Value {
    let answer = ask(server, key, call).await;
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    read(&answer)
}

async fn make(server: &Server, key: &Key) -> (String, Value) {
    let made = good(server, key, post("/webhooks", hook()), 201).await;
    (format!("/webhooks/{}", text(&made["id"])), made)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// The page's items.
async fn all(server: &Server, key: &Key, path: &str) -> Vec<Value> {
    let page = good(server, key, get(path), 200).await;
    page["data"].as_array().unwrap().clone()
}

async fn happened(server: &Server, key: &Key, event_type: EventType) -> u64 {
    entity::Event::find()
        .filter(entity::event::Column::EventType.eq(event_type))
        .filter(entity::event::Column::ActorId.eq(key.id.uuid()))
        .count(server.ctx.db().read())
        .await
        .unwrap()
}

both! {
    async fn a_program_with_the_scope_looks_after_a_webhook_from_first_to_last(server) {
        let key = make_key(&server.ctx, WEBHOOKS).await;
        let (path, made) = make(server, &key).await;
        let id = made["id"].clone();
        assert_eq!(
            fields(&made),
            BTreeSet::from([
                "id", "url", "event_types", "filters", "status", "mode", "include_test_events",
                "created_at", "secret",
            ])
        );
        assert!(text(&made["secret"]).starts_with("whsec_"));
        assert_eq!((&made["status"], &made["mode"]), (&json!("enabled"), &json!("live")));
        assert_eq!(made["filters"], hook()["filters"]);

        // From now on without the secret: absent, not null.
        let mut shown = made.clone();
        shown.as_object_mut().unwrap().remove("secret");
        assert_eq!(good(server, &key, get(&path), 200).await, shown);
        let listed = all(server, &key, "/webhooks").await;
        assert_eq!(listed.last(), Some(&shown), "oldest first");
        assert!(listed.iter().all(|webhook| webhook.get("secret").is_none()));

        let change = json!({"description": "Won deals", "event_types": [], "include_test_events": true, "status": "paused"});
        let changed = good(server, &key, patch(&path, change), 200).await;
        shown["description"] = json!("Won deals");
        shown["event_types"] = json!([]);
        shown["include_test_events"] = json!(true);
        shown["status"] = json!("paused");
        assert_eq!(changed, shown, "what is left out stays, and the secret is not told");
        let untouched = good(server, &key, patch(&path, json!({})), 200).await;
        assert_eq!(untouched, shown);
        let undescribed = good(server, &key, patch(&path, json!({"description": ""})), 200).await;
        assert!(undescribed.get("description").is_none());

        // A sample goes to a paused webhook too, and without a body it is a new contact.
        let test = format!("{path}/test");
        let wanted = json!({"event_type": "contact.stage_changed"});
        let sent = good(server, &key, post(&test, wanted), 202).await;
        assert_eq!(
            fields(&sent),
            BTreeSet::from(["id", "event_id", "event_type", "status", "attempts", "next_attempt_at"])
        );
        assert_eq!(sent["event_type"], "contact.stage_changed");
        assert_eq!((&sent["status"], &sent["attempts"]), (&json!("pending"), &json!([])));
        let bare = Call { method: "POST", ..get(&test) };
        assert_eq!(good(server, &key, bare, 202).await["event_type"], "contact.created");

        let deliveries = format!("{path}/deliveries");
        let listed = all(server, &key, &deliveries).await;
        assert_eq!(listed.len(), 2);
        assert_eq!(listed[1], sent, "newest first");
        let page = good(server, &key, get(&format!("{deliveries}?limit=1")), 200).await;
        assert_eq!(page["data"], json!([listed[0]]));
        let next = format!("{deliveries}?limit=1&cursor={}", text(&page["next_cursor"]));
        let page = good(server, &key, get(&next), 200).await;
        assert_eq!(page, json!({"data": [sent], "next_cursor": null}));

        let resend = format!("/deliveries/{}/resend", text(&sent["id"]));
        let again = good(server, &key, post(&resend, json!({})), 202).await;
        assert_eq!((&again["id"], &again["status"]), (&sent["id"], &json!("pending")));

        let rotate = format!("{path}/rotate-secret");
        let rotated = good(server, &key, post(&rotate, json!({})), 200).await;
        assert!(text(&rotated["secret"]).starts_with("whsec_"));
        assert_ne!(rotated["secret"], made["secret"]);
        let moved = json!({"url": "https://hooks.example.com/elsewhere"});
        let moved = good(server, &key, patch(&path, moved), 200).await;
        assert!(text(&moved["secret"]).starts_with("whsec_"), "another URL, another secret");
        assert_ne!(moved["secret"], rotated["secret"]);

        let gone = ask(server, &key, delete(&path)).await;
        assert_eq!((gone.status.as_u16(), gone.body.as_str()), (204, ""));
        for path in [&path, &deliveries] {
            assert_eq!(ask(server, &key, get(path)).await.status, 404);
        }
        assert_eq!(ask(server, &key, post(&resend, json!({}))).await.status, 404);
        assert!(all(server, &key, "/webhooks").await.iter().all(|webhook| webhook["id"] != id));
        for (event_type, times) in [
            (EventType::WebhookCreated, 1),
            (EventType::WebhookUpdated, 4),
            (EventType::WebhookDeleted, 1),
        ] {
            assert_eq!(happened(server, &key, event_type).await, times, "{event_type}");
        }
    }

    async fn what_is_posted_again_is_done_once_and_tells_the_same_secret(server) {
        let key = make_key(&server.ctx, WEBHOOKS).await;
        let before = all(server, &key, "/webhooks").await.len();
        let first = ask(server, &key, post("/webhooks", hook()).once("a")).await;
        let again = ask(server, &key, post("/webhooks", hook()).once("a")).await;
        assert_eq!((again.status.as_u16(), &again.body), (201, &first.body));
        assert_eq!(again.header("idempotency-replayed"), "true");
        let made = read(&first);
        assert!(text(&made["secret"]).starts_with("whsec_"));
        assert_eq!(all(server, &key, "/webhooks").await.len(), before + 1);
        assert_eq!(happened(server, &key, EventType::WebhookCreated).await, 1);

        let path = format!("/webhooks/{}", text(&made["id"]));
        let (rotate, test) = (format!("{path}/rotate-secret"), format!("{path}/test"));
        let mut answers = Vec::new();
        for _ in 0..2 {
            let rotated = post(&rotate, json!({})).once("b");
            let tested = post(&test, json!({})).once("c");
            answers.push((
                good(server, &key, rotated, 200).await,
                good(server, &key, tested, 202).await,
            ));
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(happened(server, &key, EventType::WebhookUpdated).await, 1);
        let sent = all(server, &key, &format!("{path}/deliveries")).await;
        assert_eq!(sent, std::slice::from_ref(&answers[0].1));
        let resend = format!("/deliveries/{}/resend", text(&sent[0]["id"]));
        let mut again = Vec::new();
        for _ in 0..2 {
            again.push(good(server, &key, post(&resend, json!({})).once("d"), 202).await);
        }
        assert_eq!(again[0], again[1]);

        // The answer is kept sealed.
        let kept = entity::IdempotencyKey::find().all(server.ctx.db().read()).await.unwrap();
        let told = |row: &entity::idempotency_key::Model| {
            let body = row.body.as_deref().unwrap_or_default();
            body.windows(6).any(|part| part == b"whsec_")
        };
        assert_eq!(kept.len(), 4);
        assert!(!kept.iter().any(told));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_tried_is_told_attempt_by_attempt() {
    let server = Server::new(Kind::Sqlite).await;
    let key = make_key(&server.ctx, WEBHOOKS).await;
    let webhooks = all(&server, &key, "/webhooks").await;
    let works = webhooks
        .iter()
        .find(|webhook| webhook["status"] == "enabled")
        .unwrap();
    let path = format!("/webhooks/{}/deliveries?limit=100", text(&works["id"]));
    let deliveries = all(&server, &key, &path).await;
    let always = BTreeSet::from([
        "at",
        "duration_ms",
        "request_headers",
        "response_headers",
        "response_body",
    ]);
    let with = |more: &[&'static str]| always.iter().copied().chain(more.iter().copied()).collect();
    let attempts: Vec<&Value> = deliveries
        .iter()
        .flat_map(|delivery| delivery["attempts"].as_array().unwrap())
        .collect();
    let of = |status: Value| {
        let found = attempts
            .iter()
            .find(|one| one.get("status_code").unwrap_or(&Value::Null) == &status);
        *found.unwrap()
    };
    let (good, bad, silent) = (of(json!(200)), of(json!(500)), of(Value::Null));
    assert_eq!(fields(good), with(&["status_code"]));
    assert_eq!(fields(bad), with(&["status_code", "error"]));
    assert_eq!(fields(silent), with(&["error"]));
    assert_eq!(silent["error"], "timeout");
    assert!(silent["response_body"].is_null(), "null, not absent");
    assert!(good["request_headers"]["webhook-signature"].is_string());
    let settled = deliveries
        .iter()
        .filter(|delivery| delivery["status"] != "pending")
        .all(|delivery| delivery.get("next_attempt_at").is_none());
    assert!(settled);
}

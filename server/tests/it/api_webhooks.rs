//! Webhooks through the public API: Acme's programs make them, change them and look after what was sent.

use std::collections::BTreeSet;

use domain::catalog::{EventType, Mode, Scope};
use serde_json::{Value, json};
use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use wheelhouse::work::dispatch::dispatch_all;

use crate::api::{ACME, Call, Key, Wish, ask, get, hook, make_key, post, problem, read};
use crate::both::both;
use crate::support::{Answer, Kind, Server};

const WEBHOOKS: Wish = Wish {
    scopes: &[Scope::WebhooksWrite],
    ..ACME
};
const TEST: Wish = Wish {
    mode: Mode::Test,
    ..WEBHOOKS
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

/// A refusal of what was sent that names exactly these fields.
fn names(answer: &Answer, wrong: &[&str]) {
    assert_eq!(answer.status.as_u16(), 422, "{}", answer.body);
    let problem = problem(answer);
    assert_eq!(
        fields(&problem["errors"]),
        wrong.iter().copied().collect(),
        "{problem}"
    );
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

    async fn what_makes_no_sense_is_refused_at_its_field_and_nothing_is_made(server) {
        let key = make_key(&server.ctx, WEBHOOKS).await;
        let (path, made) = make(server, &key).await;
        let before = all(server, &key, "/webhooks").await;
        let filter = |filter: Value| json!({"filters": [filter]});
        let nul = json!({"path": "data.stage", "operator": "equals", "value": "\0"});
        let changes = [
            (json!({"url": "hooks.example.com"}), "url"),
            (json!({"url": "ftp://hooks.example.com"}), "url"),
            (json!({"url": "https://olivia:secret@hooks.example.com"}), "url"),
            (json!({"url": "http://10.0.0.1/"}), "url"),
            (json!({"url": "http://0x7f.1/"}), "url"),
            (json!({"url": "http://[::ffff:169.254.169.254]/"}), "url"),
            (json!({"event_types": ["contact.exploded"]}), "event_types"),
            (json!({"event_types": [7]}), "event_types[0]"),
            (filter(json!({"path": "", "operator": "equals", "value": "x"})), "filters"),
            (filter(json!({"path": "data.stage", "operator": "equals"})), "filters"),
            (filter(json!({"path": "data.stage", "operator": "is"})), "filters[0].operator"),
            (filter(json!({"operator": "exists"})), "filters[0].path"),
            (filter(nul), "filters"),
            (filter(json!({"path": "data", "operator": "equals", "value": {"a": 1}})), "filters"),
            (filter(json!({"path": "data", "operator": "equals", "value": ["won"]})), "filters"),
            (filter(json!({"path": "data", "operator": "in", "value": ["won", ["lost"]]})), "filters"),
            (filter(json!({"path": "data", "operator": "in", "value": [{"a": 1}]})), "filters"),
            (json!({"description": "x".repeat(301)}), "description"),
            (json!({"headers": {"host": "globex.example"}}), "headers"),
            (json!({"secret": "whsec_mine"}), "secret"),
        ];
        for (change, field) in changes {
            let mut input = hook();
            input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            names(&ask(server, &key, post("/webhooks", input)).await, &[field]);
            names(&ask(server, &key, patch(&path, change)).await, &[field]);
        }
        let nowhere = json!({"url": "", "event_types": ["contact.exploded"]});
        names(&ask(server, &key, post("/webhooks", nowhere)).await, &["url", "event_types"]);
        names(&ask(server, &key, post("/webhooks", json!({}))).await, &["url"]);
        for status in ["disabled", "asleep"] {
            names(&ask(server, &key, patch(&path, json!({"status": status}))).await, &["status"]);
        }
        let test = format!("{path}/test");
        let exploded = json!({"event_type": "contact.exploded"});
        names(&ask(server, &key, post(&test, exploded)).await, &["event_type"]);
        for call in ["rotate-secret", "test"] {
            let call = format!("{path}/{call}");
            names(&ask(server, &key, post(&call, json!({"shoe": 1}))).await, &["shoe"]);
        }
        for list in ["/webhooks?limit=0", "/webhooks?status=paused"] {
            assert_eq!(ask(server, &key, get(list)).await.status, 422, "{list}");
        }

        assert_eq!(all(server, &key, "/webhooks").await, before);
        assert!(all(server, &key, &format!("{path}/deliveries")).await.is_empty());
        assert_eq!(happened(server, &key, EventType::WebhookCreated).await, 1);
        assert_eq!(happened(server, &key, EventType::WebhookUpdated).await, 0);
        assert_eq!(before.last().unwrap()["id"], made["id"]);
    }

    async fn a_key_cannot_lead_stored_headers_to_another_host(server) {
        let key = make_key(&server.ctx, WEBHOOKS).await;
        let mut input = hook();
        input["headers"] = json!({"x-api-key": "open sesame"});
        let made = good(server, &key, post("/webhooks", input), 201).await;
        let path = format!("/webhooks/{}", text(&made["id"]));
        let url = "https://evil.example/in";
        for change in [json!({"url": url}), json!({"url": url, "headers": {"x-api-key": null}})] {
            let refused = ask(server, &key, patch(&path, change)).await;
            names(&refused, &["headers"]);
            assert!(text(&problem(&refused)["errors"]["headers"]).contains("again"), "{}", refused.body);
            assert!(!refused.body.contains("sesame"));
        }
        assert_eq!(good(server, &key, get(&path), 200).await["url"], made["url"]);
        let same = json!({"url": "https://hooks.example.com:443/elsewhere"});
        assert!(good(server, &key, patch(&path, same), 200).await["secret"].is_string());
        for headers in [json!({"x-api-key": "another"}), json!({})] {
            let change = json!({"url": url, "headers": headers});
            assert_eq!(good(server, &key, patch(&path, change), 200).await["url"], url);
        }
    }

    async fn the_form_says_where_the_headers_stand_that_they_are_typed_again(server) {
        let key = make_key(&server.ctx, WEBHOOKS).await;
        let mut input = hook();
        input["headers"] = json!({"x-api-key": "open sesame"});
        let made = good(server, &key, post("/webhooks", input), 201).await;
        let id = text(&made["id"]);
        let page = format!("/w/acme/settings/webhooks/{id}");
        let mut fields = vec![
            ("_back", page.clone()),
            ("form[workspace]", "acme".to_owned()),
            ("form[webhook]", id.to_owned()),
            ("form[url]", "https://elsewhere.example/in".to_owned()),
            ("form[description]", "Moved away".to_owned()),
            ("form[headers][0][name]", "x-api-key".to_owned()),
            ("form[headers][0][value]", String::new()),
        ];
        let why = "Enter the value again, or remove the header: x-api-key";
        let called = server.call("olivia", "/fn/update_webhook", &fields).await;
        assert_eq!(called.status, 422, "{}", called.body);
        assert!(called.body.contains("headers") && called.body.contains(why), "{}", called.body);
        let posted = server.submit("olivia", "/fn/update_webhook", &fields).await;
        let flash = format!("wheelhouse_flash={}", posted.cookie("wheelhouse_flash").unwrap());
        let shown = server.page_with("olivia", &page, &flash).await.body;
        assert!(shown.contains(why), "the error stands on the page");
        for typed in ["https://elsewhere.example/in", "Moved away", "x-api-key"] {
            assert!(shown.contains(&format!("value=\"{typed}\"")), "{typed} is still there");
        }
        "another".clone_into(&mut fields[6].1);
        let called = server.call("olivia", "/fn/update_webhook", &fields).await;
        assert_eq!(called.status, 200, "{}", called.body);
        assert_eq!(good(server, &key, get(&format!("/webhooks/{id}")), 200).await["url"], "https://elsewhere.example/in");
    }

    async fn greta_of_globex_finds_nothing_of_acmes(server) {
        let acme = make_key(&server.ctx, WEBHOOKS).await;
        let globex = make_key(&server.ctx, Wish { workspace: "globex", ..WEBHOOKS }).await;
        let (path, made) = make(server, &acme).await;
        let test = format!("{path}/test");
        let sent = good(server, &acme, post(&test, json!({})), 202).await;
        let resend = format!("/deliveries/{}/resend", text(&sent["id"]));
        let (rotate, deliveries) = (format!("{path}/rotate-secret"), format!("{path}/deliveries"));
        for call in [
            get(&path),
            patch(&path, json!({"status": "paused"})),
            delete(&path),
            post(&test, json!({})),
            post(&rotate, json!({})),
            get(&deliveries),
            post(&resend, json!({})),
        ] {
            let answer = ask(server, &globex, call).await;
            assert_eq!(answer.status.as_u16(), 404, "{}", answer.body);
            problem(&answer);
        }
        let theirs = all(server, &globex, "/webhooks").await;
        assert!(theirs.iter().all(|webhook| webhook["id"] != made["id"]));
        assert_eq!(all(server, &acme, &deliveries).await, [sent]);
        assert_eq!(good(server, &acme, get(&path), 200).await["status"], "enabled");
    }

    async fn a_test_key_finds_nothing_of_the_live_world(server) {
        let live = make_key(&server.ctx, WEBHOOKS).await;
        let test = make_key(&server.ctx, TEST).await;
        let (path, made) = make(server, &live).await;
        let sample = format!("{path}/test");
        let sent = good(server, &live, post(&sample, json!({})), 202).await;
        let resend = format!("/deliveries/{}/resend", text(&sent["id"]));
        let (rotate, deliveries) = (format!("{path}/rotate-secret"), format!("{path}/deliveries"));
        for call in [
            get(&path),
            patch(&path, json!({"status": "paused"})),
            delete(&path),
            post(&sample, json!({})),
            post(&rotate, json!({})),
            get(&deliveries),
            post(&resend, json!({})),
        ] {
            let answer = ask(server, &test, call).await;
            assert_eq!(answer.status.as_u16(), 404, "{}", answer.body);
            problem(&answer);
        }
        assert!(all(server, &test, "/webhooks").await.is_empty());
        assert_eq!(all(server, &live, &deliveries).await, [sent]);
        let mut shown = made;
        shown.as_object_mut().unwrap().remove("secret");
        assert_eq!(good(server, &live, get(&path), 200).await, shown);

        // Its own it has in hand, and the live key sees both.
        let (own, made) = make(server, &test).await;
        assert_eq!((&made["mode"], &made["include_test_events"]), (&json!("test"), &json!(true)));
        good(server, &test, patch(&own, json!({"description": "Mine"})), 200).await;
        assert_eq!(all(server, &test, "/webhooks").await.len(), 1);
        assert_eq!(good(server, &live, get(&own), 200).await["description"], "Mine");
        good(server, &live, get(&path), 200).await;
    }

    async fn each_world_has_its_events(server) {
        // What the demo has done is done before anybody listens.
        dispatch_all(&server.ctx).await.unwrap();
        let live = make_key(&server.ctx, ACME).await;
        let test = make_key(&server.ctx, Wish { mode: Mode::Test, ..ACME }).await;
        let wanted = |tests: bool| json!({"url": "https://hooks.example.com/in", "include_test_events": tests});
        let only_live = good(server, &live, post("/webhooks", wanted(false)), 201).await;
        let both = good(server, &live, post("/webhooks", wanted(true)), 201).await;
        let only_test = good(server, &test, post("/webhooks", wanted(false)), 201).await;
        dispatch_all(&server.ctx).await.unwrap();
        let sent = async |webhook: &Value, event_type: &str| {
            let path = format!("/webhooks/{}/deliveries", text(&webhook["id"]));
            let sent = all(server, &live, &path).await;
            sent.iter().filter(|delivery| delivery["event_type"] == event_type).count()
        };
        for key in [&live, &test, &test] {
            good(server, key, post("/contacts", json!({"name": "Grace Kim"})), 201).await;
        }
        dispatch_all(&server.ctx).await.unwrap();
        let mut counts = Vec::new();
        for webhook in [&only_live, &both, &only_test] {
            counts.push(sent(webhook, "contact.created").await);
        }
        assert_eq!(counts, [1, 3, 2]);

        // What happens to a test webhook happens in the test world: nobody is told, and no live webhook hears of it.
        assert_eq!(sent(&only_test, "webhook.created").await, 1, "its own");
        assert_eq!(sent(&only_live, "webhook.created").await, 2, "its own and the other live one's");
        let event = entity::Event::find()
            .filter(entity::event::Column::EventType.eq(EventType::WebhookCreated))
            .filter(entity::event::Column::ActorId.eq(test.id.uuid()))
            .one(server.ctx.db().read()).await.unwrap().unwrap();
        assert_eq!(event.mode, Mode::Test);
        let told = entity::Notification::find()
            .filter(entity::notification::Column::EventId.eq(event.id))
            .count(server.ctx.db().read()).await.unwrap();
        assert_eq!(told, 0);
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

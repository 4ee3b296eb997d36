//! Credits through the public API: Acme's product asks what there is, reserves and spends.

use domain::catalog::{EventType, Mode, Scope};
use serde_json::{Value, json};
use store::credits::verify::verify;
use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use crate::api::{ACME, Call, Key, Wish, ask, get, make_key, post, problem, read};
use crate::both::both;
use crate::support::Server;

const CREDITS: Wish = Wish {
    scopes: &[Scope::CreditsRead, Scope::CreditsWrite],
    ..ACME
};

/// The answer's JSON, after a look at its status.
async fn good(server: &Server, key: &Key, call: Call<'_>, status: u16) -> Value {
    let answer = ask(server, key, call).await;
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    read(&answer)
}

fn number(value: &Value) -> i64 {
    value
        .as_i64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

async fn balance(server: &Server, key: &Key) -> i64 {
    let credits = good(server, key, get("/credits"), 200).await;
    assert_eq!(
        number(&credits["balance"]),
        number(&credits["plan"]) + number(&credits["purchased"])
    );
    number(&credits["balance"])
}

fn spend(feature: &str, quantity: u32) -> Call<'static> {
    post(
        "/credits/spend",
        json!({"feature": feature, "quantity": quantity, "reference": "chat 4711"}),
    )
}

async fn events(server: &Server, event_type: EventType) -> u64 {
    entity::Event::find()
        .filter(entity::event::Column::EventType.eq(event_type))
        .count(server.ctx.db().read())
        .await
        .unwrap()
}

both! {
    async fn spending_takes_the_catalogues_price_and_leaves_a_line(server) {
        let key = make_key(&server.ctx, CREDITS).await;
        let before = balance(server, &key).await;
        let entry = good(server, &key, spend("suggest_reply", 3), 201).await;
        assert_eq!((number(&entry["amount"]), number(&entry["balance"])), (-6, before - 6));
        assert_eq!((&entry["kind"], &entry["feature"]), (&json!("spend"), &json!("suggest_reply")));
        assert_eq!(entry["actor"], json!({"kind": "key", "name": "Importer"}));
        let list = good(server, &key, get("/credits/entries?limit=1"), 200).await;
        assert_eq!(list["data"], json!([entry]));
        let once = good(server, &key, post("/credits/spend", json!({"feature": "quick_answer"})), 201).await;
        assert_eq!(number(&once["quantity"]), 1);
        assert_eq!(verify(server.ctx.db().read()).await.unwrap(), []);
    }

    async fn the_ledger_is_read_page_by_page(server) {
        let key = make_key(&server.ctx, CREDITS).await;
        let (mut path, mut lines) = ("/credits/entries?limit=20".to_owned(), Vec::new());
        loop {
            let page = good(server, &key, get(&path), 200).await;
            lines.extend(page["data"].as_array().unwrap().clone());
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("/credits/entries?limit=20&cursor={cursor}");
        }
        assert!(lines.len() > 30);
        for pair in lines.windows(2) {
            assert_eq!(number(&pair[0]["balance"]) - number(&pair[0]["amount"]), number(&pair[1]["balance"]));
        }
        let sum: i64 = lines.iter().map(|line| number(&line["amount"])).sum();
        assert_eq!(sum, balance(server, &key).await);
    }

    async fn too_little_is_402_and_tops_up_where_that_is_on(server) {
        use domain::credits::TopUp;
        let key = make_key(&server.ctx, CREDITS).await;
        let cookie = server.cookies["adam"].expose().to_owned();
        let caller = store::auth::Caller::new(server.ctx.clone(), crate::support::info(), Some(cookie));
        let adam = caller.actor("acme").await.unwrap();
        let (ctx, now) = (&server.ctx, domain::Timestamp::now());
        store::credits::set_low_balance_threshold(ctx, &adam.permit().unwrap(), Some(1)).await.unwrap();
        let wanted = TopUp { credits: 1000, limit: domain::Money::from_cents(10_000) };
        store::credits::top_up::set(ctx, &adam.permit().unwrap(), Some(wanted), now).await.unwrap();
        let there = balance(server, &key).await;
        for (round, path) in [(0, "/credits/spend"), (1, "/credits/holds")] {
            let now_there = there + 1000 * round;
            let body = json!({"feature": "quick_answer", "quantity": now_there + 100, "reference": "chat 4711"});
            assert_eq!(ask(server, &key, post(path, body)).await.status, 402, "{path}");
            wheelhouse::work::payments::round(ctx, now).await.unwrap();
            assert_eq!(balance(server, &key).await, now_there + 1000, "{path}");
        }
        let enough = u32::try_from(there + 100).unwrap();
        good(server, &key, spend("quick_answer", enough), 201).await;
    }

    async fn too_little_is_402_and_spends_nothing(server) {
        let key = make_key(&server.ctx, CREDITS).await;
        let before = balance(server, &key).await;
        let told = events(server, EventType::CreditsSpent).await;
        for path in ["/credits/spend", "/credits/holds"] {
            let body = json!({"feature": "smart_automation", "quantity": 9999});
            let answer = ask(server, &key, post(path, body).once("a")).await;
            assert_eq!(answer.status, 402);
            let problem = problem(&answer);
            assert_eq!(problem["type"], "/api/docs#problem-credits-short");
            assert!(problem["detail"].as_str().unwrap().contains("99,990"), "{problem}");
        }
        assert_eq!(balance(server, &key).await, before);
        assert_eq!(events(server, EventType::CreditsSpent).await, told);
        good(server, &key, spend("quick_answer", 1).once("a"), 201).await;
    }

    async fn what_is_sent_twice_is_spent_once_also_after_the_answer_is_forgotten(server) {
        let key = make_key(&server.ctx, CREDITS).await;
        let before = balance(server, &key).await;
        let first = good(server, &key, spend("general_ai", 5).once("run-1"), 201).await;
        assert_eq!(good(server, &key, spend("general_ai", 5).once("run-1"), 201).await, first);
        let tx = server.ctx.db().begin().await.unwrap();
        entity::IdempotencyKey::delete_many().exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(good(server, &key, spend("general_ai", 5).once("run-1"), 201).await, first);
        assert_eq!(balance(server, &key).await, before - 10);
    }

    async fn a_test_key_spends_no_real_credits(server) {
        let live = make_key(&server.ctx, CREDITS).await;
        let test = make_key(&server.ctx, Wish { mode: Mode::Test, ..CREDITS }).await;
        let (real, own) = (balance(server, &live).await, balance(server, &test).await);
        assert_eq!(own, 2000, "what the plan gives, to try with");
        let entry = good(server, &test, spend("suggest_reply", 10), 201).await;
        assert_eq!(number(&entry["balance"]), own - 20);
        assert_eq!((balance(server, &live).await, balance(server, &test).await), (real, own - 20));
        let body = json!({"feature": "smart_automation", "quantity": 300});
        assert_eq!(ask(server, &test, post("/credits/spend", body)).await.status, 402, "it can be tried what happens then");
        let lines = good(server, &live, get("/credits/entries?limit=100"), 200).await;
        assert!(lines["data"].as_array().unwrap().iter().all(|line| line["id"] != entry["id"]));
    }

    async fn a_hold_is_captured_in_part_or_released(server) {
        let key = make_key(&server.ctx, CREDITS).await;
        let before = balance(server, &key).await;
        let wish = json!({"feature": "smart_automation", "quantity": 4, "expires_in": 60});
        let hold = good(server, &key, post("/credits/holds", wish.clone()), 201).await;
        assert_eq!((&hold["status"], number(&hold["reserved"])), (&json!("held"), 40));
        assert_eq!(balance(server, &key).await, before - 40);
        let at = |hold: &Value, what: &str| format!("/credits/holds/{}/{what}", hold["id"].as_str().unwrap());
        let capture = at(&hold, "capture");
        let too_much = ask(server, &key, post(&capture, json!({"quantity": 5}))).await;
        assert_eq!(too_much.status, 422);
        let done = good(server, &key, post(&capture, json!({"quantity": 1})).once("c"), 200).await;
        assert_eq!((&done["status"], number(&done["captured"])), (&json!("captured"), 10));
        assert_eq!(good(server, &key, post(&capture, json!({"quantity": 1})).once("c"), 200).await, done);
        assert_eq!(ask(server, &key, post(&capture, json!({}))).await.status, 409);
        assert_eq!(balance(server, &key).await, before - 10);

        let hold = good(server, &key, post("/credits/holds", wish), 201).await;
        let release = at(&hold, "release");
        let nobody = Call { body: None, ..post(&release, json!(null)) };
        let done = good(server, &key, nobody, 200).await;
        assert_eq!((&done["status"], number(&done["captured"])), (&json!("released"), 0));
        assert_eq!(balance(server, &key).await, before - 10);
        assert_eq!(verify(server.ctx.db().read()).await.unwrap(), []);
    }

    async fn what_is_wrong_is_told_by_field(server) {
        let key = make_key(&server.ctx, CREDITS).await;
        for (path, body, field) in [
            ("/credits/spend", json!({"feature": "mind_reading"}), "feature"),
            ("/credits/spend", json!({"feature": "quick_answer", "quantity": 0}), "quantity"),
            ("/credits/spend", json!({"feature": "quick_answer", "quantity": 10_001}), "quantity"),
            ("/credits/spend", json!({"feature": "quick_answer", "credits": 0}), "credits"),
            ("/credits/spend", json!({"feature": "quick_answer", "reference": "x".repeat(201)}), "reference"),
            ("/credits/holds", json!({"feature": "quick_answer", "expires_in": 86_401}), "expires_in"),
        ] {
            let answer = ask(server, &key, post(path, body)).await;
            assert_eq!(answer.status, 422, "{field}");
            assert!(problem(&answer)["errors"][field].is_string(), "{field}: {}", answer.body);
        }
    }
}

//! Keys of another workspace or mode find nothing, and their webhooks hear of nothing.

use domain::catalog::{EventType, Mode};
use serde_json::{Value, json};
use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use wheelhouse::work::dispatch::dispatch_all;

use super::{WEBHOOKS, all, delete, good, make, patch, text};
use crate::api::{ACME, Wish, ask, get, make_key, post, problem};
use crate::both::both;

const TEST: Wish = Wish {
    mode: Mode::Test,
    ..WEBHOOKS
};

both! {
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

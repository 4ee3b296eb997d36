//! What a program sends wrong is refused at its field, also in the page's form.

use domain::catalog::EventType;
use serde_json::{Value, json};

use super::{WEBHOOKS, all, fields, good, happened, make, patch, text};
use crate::api::{ask, get, hook, make_key, post, problem};
use crate::both::both;
use crate::support::Answer;

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
}

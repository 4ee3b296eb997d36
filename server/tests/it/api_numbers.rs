//! Numbers that programs send come back as they were sent, or are refused.

use axum::body::Body;
use axum::http::{Request, header};
use domain::catalog::Scope;
use serde_json::json;
use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use store::webhooks::envelope;
use wheelhouse::work::dispatch;

use crate::api::{ACME, Key, Wish, make_key, problem, read};
use crate::both::both;
use crate::support::{Answer, Server};

/// Numbers at the edges of what is kept, as a program writes them.
const KEPT: [&str; 9] = [
    "0.18014483044379326",
    "1.7976931348623157e308",
    "5e-324",
    "-2.2250738585072014e-308",
    "9223372036854775807",
    "18446744073709551615",
    "-9223372036854775808",
    "1e22",
    "0.1",
];

async fn report(server: &Server, key: &Key, body: String) -> Answer {
    let request = Request::post("/api/v1/events")
        .header(header::AUTHORIZATION, format!("Bearer {}", key.token))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .unwrap();
    server.send(request).await
}

async fn reporter(server: &Server) -> Key {
    let scopes = &[Scope::EventsWrite];
    make_key(&server.ctx, Wish { scopes, ..ACME }).await
}

both! {
    async fn numbers_come_back_as_they_were_sent_and_their_event_is_dispatched(server) {
        let key = reporter(server).await;
        let numbers = KEPT.join(", ");
        let body = format!(r#"{{"type": "automation.completed", "data": {{"numbers": [{numbers}]}}}}"#);
        let answer = report(server, &key, body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        dispatch::dispatch_all(&server.ctx).await.unwrap();
        let event = entity::Event::find()
            .filter(entity::event::Column::EventType.eq(domain::catalog::EventType::AutomationCompleted))
            .order_by_desc(entity::event::Column::Id)
            .one(server.ctx.db().read())
            .await
            .unwrap()
            .unwrap();
        assert!(event.dispatched_at.is_some());
        let body = envelope::body(&event);
        let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
        for (kept, number) in KEPT.iter().zip(sent["data"]["numbers"].as_array().unwrap()) {
            let (kept, number): (f64, f64) = (kept.parse().unwrap(), number.to_string().parse().unwrap());
            assert_eq!(kept.to_bits(), number.to_bits());
        }
        for exact in ["9223372036854775807", "18446744073709551615", "-9223372036854775808", "0.18014483044379326"] {
            assert!(body.contains(exact), "{exact}: {body}");
        }
        for path in ["/w/acme", "/w/acme/inbox"] {
            assert_eq!(server.page("olivia", path).await.status, 200, "{path}");
        }
    }

    async fn numbers_that_would_be_rounded_are_refused_where_they_stand(server) {
        let key = reporter(server).await;
        for number in ["18446744073709551616", "123456789012345678901234567890", "0.1000000000000000055511151231257827", "1e-400"] {
            let body = format!(r#"{{"type": "automation.completed", "data": {{"list": [1, {{"limit": {number}}}]}}}}"#);
            let answer = report(server, &key, body).await;
            assert_eq!(answer.status, 422, "{number}: {}", answer.body);
            assert!(problem(&answer)["errors"]["data.list[1].limit"].is_string(), "{}", answer.body);
        }
        let beyond = report(server, &key, r#"{"type": "automation.completed", "data": {"limit": 1e400}}"#.to_owned()).await;
        assert!(beyond.status.is_client_error(), "{}", beyond.body);
        assert_eq!(read(&report(server, &key, json!({"type": "automation.completed", "data": {"limit": "1e400"}}).to_string()).await)["data"]["limit"], "1e400");
    }
}

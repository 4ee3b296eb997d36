//! Contacts, lists, and what is said about requests that are wrong.

use axum::body::Body;
use axum::http::{Request, header};
use domain::catalog::EventType;
use serde_json::{Value, json};
use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use wheelhouse::api;

use super::{ACME, Call, ask, count, get, grace, make_key, post, problem, read};
use crate::support::{Kind, Server};

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

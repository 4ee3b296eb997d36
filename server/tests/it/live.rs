//! `/live`: who hears what, how long, and how many at once.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use domain::{Name, Topic, UserId};
use futures::StreamExt;
use store::auth::{Actor, Caller};
use store::db::entity;
use store::db::sea_orm::EntityTrait;
use store::live::Invalidation;
use store::workspace as workspaces;
use tower::ServiceExt;
use wheelhouse::http;

use crate::both::both;
use crate::support::{Server, info};

async fn actor(server: &Server, who: &str) -> Actor {
    let cookie = server.cookies[who].expose().to_owned();
    Caller::new(server.ctx.clone(), info(), Some(cookie))
        .actor(if who == "greta" { "globex" } else { "acme" })
        .await
        .unwrap()
}

/// Opens a stream, with a look at the session every `check`.
async fn ask(server: &Server, who: &str, check: Duration) -> Response {
    let mut state = server.state.clone();
    state.live_check = check;
    let cookie = format!("wheelhouse_session={}", server.cookies[who].expose());
    let request = Request::get("/live")
        .header(header::COOKIE, cookie)
        .body(Body::empty())
        .unwrap();
    http::router(state).oneshot(request).await.unwrap()
}

struct Ear(axum::body::BodyDataStream);

impl Ear {
    async fn open(server: &Server, who: &str, check: Duration) -> Self {
        let response = ask(server, who, check).await;
        assert_eq!(response.status(), StatusCode::OK);
        let mut ear = Self(response.into_body().into_data_stream());
        ear.next().await.expect("a greeting");
        ear
    }

    /// What is said next; nothing if it ends, or if all is quiet for a while.
    async fn next(&mut self) -> Option<String> {
        let next = tokio::time::timeout(Duration::from_secs(2), self.0.next());
        let bytes = next.await.ok()??.unwrap();
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

const LONG: Duration = Duration::from_mins(10);

both! {
    async fn those_whom_it_concerns_are_told_and_nobody_else(server) {
        let mut mia = Ear::open(server, "mia", LONG).await;
        let mut greta = Ear::open(server, "greta", LONG).await;
        let adam = actor(server, "adam").await;
        workspaces::rename(&server.ctx, &adam.permit().unwrap(), Name::parse("Acme Corp").unwrap())
            .await
            .unwrap();
        assert!(mia.next().await.unwrap().contains("data: workspace"));
        assert_eq!(greta.next().await, None);
    }

    async fn a_session_that_ended_in_silence_ends_the_stream_also_under_traffic(server) {
        let mut mia = Ear::open(server, "mia", Duration::from_millis(300)).await;
        // As another process does it: no invalidation is heard here.
        let tx = server.ctx.db().begin().await.unwrap();
        entity::Session::delete_many().exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        let ctx = server.ctx.clone();
        let traffic = tokio::spawn(async move {
            loop {
                ctx.db().event_bus().receive(Invalidation::user(UserId::new(), Topic::Inbox));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(mia.next().await.unwrap().contains("data: all"));
        assert_eq!(mia.next().await, None);
        traffic.abort();
    }

    async fn proxies_pass_the_stream_on_byte_by_byte(server) {
        let cookie = format!("wheelhouse_session={}", server.cookies["mia"].expose());
        let request = Request::get("/live")
            .header(header::COOKIE, cookie)
            .header(header::ACCEPT_ENCODING, "gzip, br")
            .body(Body::empty())
            .unwrap();
        let response = server.router.clone().oneshot(request).await.unwrap();
        let told = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(told("content-type"), Some("text/event-stream"));
        assert_eq!(told("x-accel-buffering"), Some("no"));
        assert_eq!(told("cache-control"), Some("no-store, no-transform"));
        assert_eq!(told("content-encoding"), None);
        let mut ear = Ear(response.into_body().into_data_stream());
        assert_eq!(ear.next().await.as_deref(), Some("id: live\n\n"), "something is said at once");
    }

    async fn lost_hints_make_everybody_look_at_everything(server) {
        let mut mia = Ear::open(server, "mia", LONG).await;
        server.ctx.db().event_bus().receive_everything();
        assert!(mia.next().await.unwrap().contains("data: all"));
    }

    async fn one_person_has_so_many_streams_and_others_their_own(server) {
        let mut open = Vec::new();
        for _ in 0..16 {
            open.push(ask(server, "mia", LONG).await);
        }
        assert!(open.iter().all(|answer| answer.status() == 200));
        assert_eq!(server.state.streams.open(), 16);
        let refused = ask(server, "mia", LONG).await;
        assert_eq!(refused.status(), 429);
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(ask(server, "adam", LONG).await.status(), 200);
        drop(open);
        assert_eq!(server.state.streams.open(), 0);
        assert_eq!(ask(server, "mia", LONG).await.status(), 200);
    }
}

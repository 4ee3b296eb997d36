//! `/live`: the stream of invalidations to one browser. It ends with the session, the membership or the server.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use domain::{AppError, Topic, UserId, WorkspaceId};
use futures::stream;
use store::auth::{Caller, sessions};
use store::context::AppContext;
use store::live::{Audience, Invalidation, Received};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::streams::StreamSlot;
use crate::state::AppState;

/// How often to send a heartbeat. Proxies close connections that are quiet for a minute, some for half a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// When a user with too many streams can try again, in seconds.
const RETRY_SECONDS: u64 = 30;
/// Sent when invalidations may have been missed.
const ALL: &str = "all";
/// The ID that every event carries: a browser that sends it has connected before and may have missed some.
const ID: &str = "live";

struct Stream {
    invalidations: Receiver<Received>,
    /// When to check the session, regardless of the invalidations received meanwhile.
    check: Interval,
    _place: StreamSlot,
    caller: Caller,
    user: UserId,
    workspaces: Vec<WorkspaceId>,
    stop: CancellationToken,
    greeting: Option<&'static str>,
    /// The session is over, and the browser has been notified to reload everything.
    over: bool,
}

pub async fn stream(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    // Before the memberships are read, so that no change is missed in between.
    let invalidations = state.ctx.db().event_bus().listen();
    let (user, workspaces) = match audience(&state.ctx, &caller).await {
        Ok(audience) => audience,
        // 204 tells the browser not to reconnect; it will, with the next page.
        Err(AppError::Unauthenticated) => return StatusCode::NO_CONTENT.into_response(),
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let Some(place) = state.streams.enter(user) else {
        let wait = [(header::RETRY_AFTER, RETRY_SECONDS.to_string())];
        return (StatusCode::TOO_MANY_REQUESTS, wait).into_response();
    };
    let mut check = tokio::time::interval(state.live_check);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is immediate, and the session was just checked.
    check.tick().await;
    let greeting = Some(if headers.contains_key("last-event-id") {
        ALL
    } else {
        ""
    });
    let first = Stream {
        invalidations,
        check,
        _place: place,
        caller,
        user,
        workspaces,
        stop: state.stop.clone(),
        greeting,
        over: false,
    };
    let events = stream::unfold(first, |mut stream| async move {
        let text = stream.next().await?;
        let event = Event::default().id(ID);
        let event = if text.is_empty() {
            event
        } else {
            event.data(text)
        };
        Some((Ok::<_, Infallible>(event), stream))
    });
    let mut response = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(HEARTBEAT))
        .into_response();
    let headers = response.headers_mut();
    // A proxy that buffers responses would hold back every invalidation: nginx obeys this header, and compressing
    // proxies obey the other.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-transform"),
    );
    response
}

async fn audience(
    ctx: &AppContext,
    caller: &Caller,
) -> Result<(UserId, Vec<WorkspaceId>), AppError> {
    let person = caller.still_here().await?;
    let places = sessions::places(ctx, person.id()).await?;
    Ok((
        person.id(),
        places.into_iter().map(|place| place.id).collect(),
    ))
}

impl Stream {
    /// What to send next; `None` ends the stream.
    async fn next(&mut self) -> Option<&'static str> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        loop {
            if self.over {
                return None;
            }
            let heard = tokio::select! {
                // In this order, so that rapid invalidations do not starve the other branches.
                biased;
                () = self.stop.cancelled() => return None,
                _ = self.check.tick() => None,
                heard = self.invalidations.recv() => Some(heard),
            };
            match heard {
                Some(Ok(Received::Invalidation(invalidation))) if self.concerns(invalidation) => {
                    // If an invalidation changes who can listen, recheck that before passing it on.
                    if matches!(invalidation.topic, Topic::Account | Topic::Workspace) {
                        self.recheck().await;
                    }
                    return Some(if self.over {
                        ALL
                    } else {
                        invalidation.topic.as_str()
                    });
                }
                Some(Ok(Received::Invalidation(_))) => {}
                Some(Ok(Received::Everything) | Err(RecvError::Lagged(_))) => {
                    self.recheck().await;
                    return Some(ALL);
                }
                Some(Err(RecvError::Closed)) => return None,
                None => {
                    self.recheck().await;
                    if self.over {
                        return Some(ALL);
                    }
                }
            }
        }
    }

    fn concerns(&self, invalidation: Invalidation) -> bool {
        match invalidation.audience {
            Audience::User(user) => user == self.user,
            Audience::Workspace(workspace) => self.workspaces.contains(&workspace),
        }
    }

    async fn recheck(&mut self) {
        match audience(&self.caller.ctx().clone(), &self.caller).await {
            Ok((_, workspaces)) => self.workspaces = workspaces,
            Err(_) => self.over = true,
        }
    }
}

//! `/live`: the stream of invalidations to one browser. It ends with the session, with the membership it speaks of, and with
//! the server.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::context::AppContext;
use app::domain::{AppError, UserId, WorkspaceId};
use app::live::{Audience, Invalidation, Received, Topic};
use app::session::{Caller, store};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::AppState;

/// How often a stream looks whether its session still holds, unless told otherwise.
pub const CHECK: Duration = Duration::from_secs(30);
/// How often something is said when there is nothing to say. Proxies close what is quiet for a minute, some for half.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How many streams one person may have open: a stream for each of several browsers, or for each tab of one without
/// locks. A stream costs a connection and a place among the listeners.
const MAX_COUNT: usize = 16;
/// When one who has too many may ask again, in seconds.
const RETRY_SECONDS: u64 = 30;
/// Said when invalidations may have been missed.
const ALL: &str = "all";
/// The id that every event carries: a browser that names it has been here before and may have missed something.
const ID: &str = "live";

/// The open streams of each person.
#[derive(Clone, Debug, Default)]
pub struct Streams(Arc<Mutex<HashMap<UserId, usize>>>);

/// A place among the streams of a person; dropping it gives it back.
struct StreamSlot {
    streams: Streams,
    user: UserId,
}

impl Streams {
    /// How many are open in all.
    pub fn open(&self) -> usize {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().sum()
    }

    fn enter(&self, user: UserId) -> Option<StreamSlot> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user).or_insert(0);
        if *count >= MAX_COUNT {
            return None;
        }
        *count += 1;
        Some(StreamSlot {
            streams: self.clone(),
            user,
        })
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let streams = &self.streams.0;
        let mut open = streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

struct Stream {
    invalidations: Receiver<Received>,
    /// When to look whether the session still holds, however much is heard meanwhile.
    check: Interval,
    _place: StreamSlot,
    caller: Caller,
    user: UserId,
    workspaces: Vec<WorkspaceId>,
    stop: CancellationToken,
    greeting: Option<&'static str>,
    /// The session is over, and the browser has been told to look at everything anew.
    over: bool,
}

pub async fn stream(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    // Before the look at the memberships, so that no change falls between.
    let invalidations = state.ctx.db().event_bus().listen();
    let (user, workspaces) = match audience(&state.ctx, &caller).await {
        Ok(audience) => audience,
        // 204 tells the browser not to come back; it will, with the next page.
        Err(AppError::Unauthenticated) => return StatusCode::NO_CONTENT.into_response(),
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let Some(place) = state.streams.enter(user) else {
        let wait = [(header::RETRY_AFTER, RETRY_SECONDS.to_string())];
        return (StatusCode::TOO_MANY_REQUESTS, wait).into_response();
    };
    let mut check = tokio::time::interval(state.live_check);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once, and the session was just looked at.
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
    // A proxy that gathers the answer before it passes it on would keep every invalidation to itself: nginx asks this header, and
    // those that compress on the way heed the other.
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
    let places = store::places(ctx, person.id()).await?;
    Ok((
        person.id(),
        places.into_iter().map(|place| place.id).collect(),
    ))
}

impl Stream {
    /// What to say next; nothing ends the stream.
    async fn next(&mut self) -> Option<&'static str> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        loop {
            if self.over {
                return None;
            }
            let heard = tokio::select! {
                // In this order: invalidations that follow each other closely do not keep the others waiting.
                biased;
                () = self.stop.cancelled() => return None,
                _ = self.check.tick() => None,
                heard = self.invalidations.recv() => Some(heard),
            };
            match heard {
                Some(Ok(Received::Hint(invalidation))) if self.concerns(invalidation) => {
                    // What changes who may listen is looked at before it is passed on.
                    if matches!(invalidation.topic, Topic::Account | Topic::Workspace) {
                        self.recheck().await;
                    }
                    return Some(if self.over {
                        ALL
                    } else {
                        invalidation.topic.as_str()
                    });
                }
                Some(Ok(Received::Hint(_))) => {}
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

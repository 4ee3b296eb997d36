//! The layer around server functions: statuses for the script, and for a browser without script a redirect back to
//! the page, where the answer and what was typed wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use app::domain::AppError;
use app::form::{Done, Flash, Outcome};
use app::keyring::Token;
use app::session::model::own_path;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::caller::{cookie, text};
use super::{AppState, LARGEST_BODY};

/// Where server functions are, as .cargo/config.toml says.
const FUNCTIONS: &str = "/fn/";
const COOKIE: &str = "wheelhouse_flash";
const LIFE: Duration = Duration::from_mins(2);
/// How many answers wait at most; the oldest give way.
const MOST: usize = 2_000;
/// Set by a server function that failed, with the error as its body.
const FAILED: &str = "serverfnerror";
/// How the hidden fields are called that the form component writes.
const BACK: &str = "_back";
const FORM: &str = "_form";

/// Answers that wait for the page that follows, by a random id that only the browser's cookie holds.
#[derive(Clone, Debug, Default)]
pub struct Flashes(Arc<Mutex<HashMap<String, (Instant, Flash)>>>);

impl Flashes {
    fn put(&self, flash: Flash) -> String {
        let id = Token::generate().plain().expose().to_owned();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, (at, _)| at.elapsed() < LIFE);
            while kept.len() >= MOST {
                let Some(oldest) = kept
                    .iter()
                    .min_by_key(|(_, (at, _))| *at)
                    .map(|(id, _)| id.clone())
                else {
                    break;
                };
                kept.remove(&oldest);
            }
        }
        kept.insert(id.clone(), (Instant::now(), flash));
        id
    }

    fn take(&self, id: &str) -> Option<Flash> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(id)
            .filter(|(at, _)| at.elapsed() < LIFE)
            .map(|(_, flash)| flash)
    }
}

/// Around server functions. Leptos adds their routes among its own, so they are told by their address.
pub async fn keep(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.uri().path().starts_with(FUNCTIONS) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let form = text(&parts.headers, header::CONTENT_TYPE).is_some_and(|kind| {
        kind.split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    let wants_html =
        text(&parts.headers, header::ACCEPT).is_some_and(|accept| accept.contains("text/html"));
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "The request is too large.").into_response();
    };
    // Leptos reads whatever it is sent as a form; a script of another site can send text, but not a form, unasked.
    if !form && !body.is_empty() {
        return (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Server functions take application/x-www-form-urlencoded.",
        )
            .into_response();
    }
    // Without it Leptos neither redirects to the Referer nor writes errors into addresses.
    parts.headers.remove(header::ACCEPT);
    let path = parts.uri.path().to_owned();
    let referer = text(&parts.headers, header::REFERER).map(str::to_owned);
    let response = next
        .run(Request::from_parts(parts, Body::from(body.clone())))
        .await;

    let (mut head, answer) = response.into_parts();
    let Ok(answer) = to_bytes(answer, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let failed = head.headers.remove(FAILED).is_some() || head.status.is_server_error();
    let error = failed.then(|| {
        serde_json::from_slice::<AppError>(&answer).unwrap_or_else(|_| AppError::Internal {
            incident: "unreadable".to_owned(),
        })
    });
    if let Some(error) = &error {
        head.status =
            StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let AppError::RateLimited { retry_after } = error {
            head.headers
                .insert(header::RETRY_AFTER, HeaderValue::from(*retry_after));
        }
    }
    if !wants_html {
        head.headers
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return Response::from_parts(head, Body::from(answer));
    }

    let fields = read_form(&body);
    let field = |name: &str| {
        fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let asked = head
        .headers
        .remove(header::LOCATION)
        .filter(|_| error.is_none());
    let asked = asked
        .as_ref()
        .and_then(|location| location.to_str().ok())
        .map(own_path);
    let back = field(BACK).map(own_path).filter(|path| *path != "/");
    let referer = referer
        .as_deref()
        .and_then(|referer| referer.strip_prefix(&state.house.site().public_url))
        .map(own_path);
    let target = asked.or(back).or(referer).unwrap_or("/").to_owned();
    let outcome: Outcome = match error {
        Some(error) => Err(error),
        None => Ok(serde_json::from_slice::<Done>(&answer).unwrap_or_default()),
    };
    let key = field(FORM).unwrap_or_default().to_owned();
    let typed = fields
        .into_iter()
        .filter(|(name, _)| !is_secret(name))
        .collect();
    let id = state.flashes.put(Flash {
        action: path,
        key,
        typed,
        outcome,
    });
    head.status = StatusCode::SEE_OTHER;
    head.headers.remove(header::CONTENT_TYPE);
    head.headers.remove(header::CONTENT_LENGTH);
    if let Ok(target) = HeaderValue::from_str(&target) {
        head.headers.insert(header::LOCATION, target);
    }
    append_cookie(&mut head.headers, &id, LIFE.as_secs());
    Response::from_parts(head, Body::empty())
}

/// Before a page is rendered: hands it the answer that waits for it.
pub async fn hand_over(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let page = request.method() == Method::GET
        && text(request.headers(), header::ACCEPT)
            .is_some_and(|accept| accept.contains("text/html"));
    let waiting = page
        .then(|| cookie(request.headers(), COOKIE).map(str::to_owned))
        .flatten();
    let Some(id) = waiting else {
        return next.run(request).await;
    };
    if let Some(flash) = state.flashes.take(&id) {
        request.extensions_mut().insert(flash.clone());
        let mut response = next.run(request).await;
        // A page that only leads on (from `/` to the workspace) has shown nothing yet.
        if response.status().is_redirection() {
            let id = state.flashes.put(flash);
            append_cookie(response.headers_mut(), &id, LIFE.as_secs());
        } else {
            append_cookie(response.headers_mut(), "", 0);
        }
        return response;
    }
    let mut response = next.run(request).await;
    append_cookie(response.headers_mut(), "", 0);
    response
}

fn append_cookie(headers: &mut HeaderMap, value: &str, life: u64) {
    let cookie = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={life}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// Names of fields whose values are never kept.
fn is_secret(name: &str) -> bool {
    ["password", "confirm", "token", "secret"]
        .iter()
        .any(|word| name.contains(word))
        || name.starts_with('_')
}

fn read_form(body: &[u8]) -> Vec<(String, String)> {
    serde_urlencoded::from_bytes(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_kept() {
        for name in [
            "form[password]",
            "form[confirm]",
            "form[current_password]",
            "form[token]",
            "_back",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["form[name]", "form[email]", "form[slug]"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn the_store_is_bounded() {
        let flashes = Flashes::default();
        let flash = Flash {
            action: "/fn/x".into(),
            key: String::new(),
            typed: Vec::new(),
            outcome: Ok(Done::said("x")),
        };
        for _ in 0..MOST + 10 {
            flashes.put(flash.clone());
        }
        let id = flashes.put(flash.clone());
        assert!(flashes.0.lock().unwrap().len() <= MOST);
        assert_eq!(flashes.take(&id), Some(flash));
        assert_eq!(flashes.take(&id), None, "an answer is handed over once");
    }
}

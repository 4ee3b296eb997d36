//! The layer around server functions: statuses for the script, and for a browser without script a redirect back to
//! the page, where the answer and what was typed wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use app::call::read;
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
const LIFE: Duration = Duration::from_mins(2);
/// How many answers wait at most, and how many bytes they hold in all; the oldest give way.
const MOST: usize = 2_000;
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// How much of what was typed one answer keeps; beyond that the longest fields are left out.
const MOST_TYPED: usize = 16 * 1024;
/// How large one answer may be with everything: one that is larger was made by no form of ours.
const LARGEST: usize = 32 * 1024;
/// Set by a server function that failed, with the error as its body.
const FAILED: &str = "serverfnerror";
/// How the hidden fields are called that the form component writes.
const BACK: &str = "_back";
const FORM: &str = "_form";

/// The cookie's name. Under https the prefix binds it to this very host.
fn cookie_name(https: bool) -> &'static str {
    if https {
        "__Host-wheelhouse_flash"
    } else {
        "wheelhouse_flash"
    }
}

/// Answers that wait for the page that follows, by a random id that only the browser's cookie holds.
#[derive(Clone, Debug, Default)]
pub struct Flashes(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    kept: HashMap<String, Waiting>,
    bytes: usize,
}

/// An answer, and the path of the page that may take it.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    page: String,
    bytes: usize,
    flash: Flash,
}

impl Flashes {
    /// Keeps an answer for a page; nothing if it is too large to keep.
    fn put(&self, mut flash: Flash, page: &str) -> Option<String> {
        trim(&mut flash.typed);
        let page = path_of(page).to_owned();
        let bytes = page.len() + size(&flash);
        if bytes > LARGEST {
            return None;
        }
        let id = Token::generate().plain().expose().to_owned();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.make_room(bytes);
        all.bytes += bytes;
        let waiting = Waiting {
            since: Instant::now(),
            page,
            bytes,
            flash,
        };
        all.kept.insert(id.clone(), waiting);
        Some(id)
    }

    /// Hands an answer over to the page that it is for. Another page leaves it where it is.
    fn take(&self, id: &str, page: &str) -> Found {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.kept.get(id) {
            None => Found::Nothing,
            Some(waiting) if waiting.since.elapsed() >= LIFE => {
                all.remove(id);
                Found::Nothing
            }
            Some(waiting) if waiting.page != page => Found::ForAnother,
            Some(_) => all.remove(id).map_or(Found::Nothing, |waiting| {
                Found::Here(Box::new(waiting.flash))
            }),
        }
    }
}

enum Found {
    Here(Box<Flash>),
    ForAnother,
    Nothing,
}

impl Shelf {
    fn remove(&mut self, id: &str) -> Option<Waiting> {
        let waiting = self.kept.remove(id)?;
        self.bytes -= waiting.bytes;
        Some(waiting)
    }

    fn make_room(&mut self, bytes: usize) {
        let full = |shelf: &Self| shelf.kept.len() >= MOST || shelf.bytes + bytes > MOST_BYTES;
        if !full(self) {
            return;
        }
        self.kept
            .retain(|_, waiting| waiting.since.elapsed() < LIFE);
        self.bytes = self.kept.values().map(|waiting| waiting.bytes).sum();
        while full(self) {
            let oldest = self.kept.iter().min_by_key(|(_, waiting)| waiting.since);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                break;
            };
            self.remove(&oldest);
        }
    }
}

/// Leaves out the longest fields until the rest is small enough.
fn trim(typed: &mut Vec<(String, String)>) {
    let length = |(name, value): &(String, String)| name.len() + value.len();
    let mut sum: usize = typed.iter().map(length).sum();
    typed.sort_by_key(length);
    while sum > MOST_TYPED {
        let Some(longest) = typed.pop() else {
            break;
        };
        sum -= length(&longest);
    }
}

fn size(flash: &Flash) -> usize {
    // What is not text of its own is small: a few words of the outcome.
    serde_json::to_vec(flash).map_or(usize::MAX / 2, |json| json.len())
}

/// An address without its query and fragment.
fn path_of(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or(address)
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
        read::<AppError>(&answer).unwrap_or_else(|_| AppError::Internal {
            incident: "unreadable".to_owned(),
        })
    });
    if let Some(error) = &error {
        head.status =
            StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(retry_after) = error.retry_after() {
            head.headers
                .insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
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
    let asked = asked.as_ref().and_then(|location| location.to_str().ok());
    let target = target(&state, asked, field(BACK), referer.as_deref());
    let outcome: Outcome = match error {
        Some(error) => Err(error),
        None => Ok(read::<Done>(&answer).unwrap_or_default()),
    };
    let key = field(FORM).unwrap_or_default().to_owned();
    let typed = fields
        .into_iter()
        .filter(|(name, _)| !is_secret(name))
        .collect();
    let flash = Flash {
        action: path,
        key,
        typed,
        outcome,
    };
    if let Some(id) = state.flashes.put(flash, &target) {
        append_cookie(&state, &mut head.headers, &id);
    }
    head.status = StatusCode::SEE_OTHER;
    head.headers.remove(header::CONTENT_TYPE);
    head.headers.remove(header::CONTENT_LENGTH);
    if let Ok(target) = HeaderValue::from_str(&target) {
        head.headers.insert(header::LOCATION, target);
    }
    Response::from_parts(head, Body::empty())
}

/// Where the browser goes: where the server function leads, or back to where the form was.
fn target(
    state: &AppState,
    asked: Option<&str>,
    back: Option<&str>,
    referer: Option<&str>,
) -> String {
    let providers = state.house.payments().origins();
    let asked = asked.map(|place| {
        if is_at(place, providers) {
            place
        } else {
            own_path(place)
        }
    });
    let back = back.map(own_path).filter(|path| *path != "/");
    let referer = referer
        .and_then(|referer| referer.strip_prefix(&state.house.site().public_url))
        .map(own_path);
    asked.or(back).or(referer).unwrap_or("/").to_owned()
}

/// Whether a place is on one of the payment provider's sites.
fn is_at(place: &str, origins: &[String]) -> bool {
    let rest = |origin: &String| place.strip_prefix(origin.as_str());
    origins
        .iter()
        .filter_map(rest)
        .any(|rest| rest.starts_with('/'))
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
    let name = cookie_name(state.house.site().is_https());
    let waiting = page
        .then(|| cookie(request.headers(), name).map(str::to_owned))
        .flatten();
    let Some(id) = waiting else {
        return next.run(request).await;
    };
    let flash = match state.flashes.take(&id, request.uri().path()) {
        Found::Here(flash) => *flash,
        Found::ForAnother => return next.run(request).await,
        Found::Nothing => {
            let mut response = next.run(request).await;
            append_cookie(&state, response.headers_mut(), "");
            return response;
        }
    };
    request.extensions_mut().insert(flash.clone());
    let mut response = next.run(request).await;
    // A page that only leads on (from `/` to the workspace) has shown nothing yet: the answer goes on with it.
    let onward = response
        .status()
        .is_redirection()
        .then(|| text(response.headers(), header::LOCATION).map(str::to_owned))
        .flatten();
    let id = onward.and_then(|onward| state.flashes.put(flash, &onward));
    append_cookie(&state, response.headers_mut(), id.as_deref().unwrap_or(""));
    response
}

/// Sets the cookie to an answer's id, or takes it away.
fn append_cookie(state: &AppState, headers: &mut HeaderMap, id: &str) {
    let https = state.house.site().is_https();
    let name = cookie_name(https);
    let secure = if https { "; Secure" } else { "" };
    let life = if id.is_empty() { 0 } else { LIFE.as_secs() };
    let cookie = format!("{name}={id}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={life}");
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

    fn flash(typed: Vec<(String, String)>) -> Flash {
        Flash {
            action: "/fn/x".into(),
            key: String::new(),
            typed,
            outcome: Ok(Done::said("x")),
        }
    }

    fn taken(found: Found) -> Option<Flash> {
        match found {
            Found::Here(flash) => Some(*flash),
            Found::ForAnother | Found::Nothing => None,
        }
    }

    #[test]
    fn answers_are_bounded_in_number_and_handed_over_once() {
        let flashes = Flashes::default();
        for _ in 0..MOST + 10 {
            flashes.put(flash(Vec::new()), "/here").unwrap();
        }
        let id = flashes.put(flash(Vec::new()), "/here?tab=2").unwrap();
        assert!(flashes.0.lock().unwrap().kept.len() <= MOST);
        assert_eq!(taken(flashes.take(&id, "/here")), Some(flash(Vec::new())));
        assert_eq!(taken(flashes.take(&id, "/here")), None);
    }

    #[test]
    fn answers_are_bounded_in_bytes() {
        let flashes = Flashes::default();
        let typed = || vec![("form[text]".to_owned(), "x".repeat(MOST_TYPED - 100))];
        for _ in 0..MOST {
            flashes.put(flash(typed()), "/").unwrap();
        }
        let id = flashes.put(flash(typed()), "/").unwrap();
        let held = |flashes: &Flashes| {
            let shelf = flashes.0.lock().unwrap();
            let sum: usize = shelf.kept.values().map(|waiting| waiting.bytes).sum();
            assert_eq!(shelf.bytes, sum);
            sum
        };
        assert!(held(&flashes) <= MOST_BYTES);
        assert!(taken(flashes.take(&id, "/")).is_some(), "the newest stays");
        held(&flashes);
        let large = Flash {
            key: "x".repeat(LARGEST),
            ..flash(Vec::new())
        };
        assert_eq!(flashes.put(large, "/"), None);
    }

    #[test]
    fn the_longest_text_is_left_out_first() {
        let mut typed = vec![
            ("form[description]".to_owned(), "x".repeat(200_000)),
            ("form[name]".to_owned(), "Mia".to_owned()),
            ("form[notes]".to_owned(), "y".repeat(10_000)),
        ];
        trim(&mut typed);
        let names: Vec<&str> = typed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["form[name]", "form[notes]"]);
    }

    #[test]
    fn an_answer_waits_for_its_page() {
        let flashes = Flashes::default();
        let id = flashes.put(flash(Vec::new()), "/w/acme#top").unwrap();
        assert!(matches!(flashes.take(&id, "/login"), Found::ForAnother));
        assert!(taken(flashes.take(&id, "/w/acme")).is_some());
    }
}

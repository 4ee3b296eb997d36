//! The layer around server functions: sets statuses for scripts. Without scripts, redirects the browser back to the
//! page, where the response and the form's input wait.

use app::rpc::{BUILD, BUILD_HEADER, read};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::form::{Flash, FormOutcome, FormSuccess};
use domain::session::own_path;
use domain::{AppError, Secret};
use store::auth::Caller;
use store::flashes::{self, Found, LIFE, Owner};

use super::client_ip::{cookie, text};
use crate::state::{AppState, MAX_BODY_BYTES};

/// The path of server functions, as set in .cargo/config.toml.
const FUNCTIONS: &str = "/fn/";
/// Set by a failed server function, with the error as its body.
const FAILED: &str = "serverfnerror";
/// The names of the hidden fields that the form component writes.
const BACK: &str = "_back";
const FORM: &str = "_form";

/// The cookie's name. Under HTTPS, the prefix binds it to this host.
fn cookie_name(https: bool) -> &'static str {
    if https {
        "__Host-wheelhouse_flash"
    } else {
        "wheelhouse_flash"
    }
}

/// Wraps server functions. Leptos adds their routes among its own, so their path identifies them.
pub async fn capture(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.uri().path().starts_with(FUNCTIONS) {
        return next.run(request).await;
    }
    // Nothing was done yet, so the page can reload and post again.
    if text(request.headers(), HeaderName::from_static(BUILD_HEADER))
        .is_some_and(|build| build != BUILD)
    {
        return outdated();
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
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "The request is too large.").into_response();
    };
    // Leptos reads any body as a form; another site's script can send text without a preflight, but not a form.
    if !form && !body.is_empty() {
        return (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Server functions accept only application/x-www-form-urlencoded.",
        )
            .into_response();
    }
    // Without it Leptos neither redirects to the Referer nor writes errors into URLs.
    parts.headers.remove(header::ACCEPT);
    let path = parts.uri.path().to_owned();
    let caller = parts.extensions.get::<Caller>().cloned();
    let referer = text(&parts.headers, header::REFERER).map(str::to_owned);
    give_password(&parts, &body);
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
    let outcome: FormOutcome = match error {
        Some(error) => Err(error),
        None => Ok(read::<FormSuccess>(&answer).unwrap_or_default()),
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
    if let Some(id) = insert(&state, caller.as_ref(), flash, &target).await {
        append_cookie(&state, &mut head.headers, id.expose());
    }
    head.status = StatusCode::SEE_OTHER;
    head.headers.remove(header::CONTENT_TYPE);
    head.headers.remove(header::CONTENT_LENGTH);
    if let Ok(target) = HeaderValue::from_str(&target) {
        head.headers.insert(header::LOCATION, target);
    }
    Response::from_parts(head, Body::empty())
}

/// The response to a page whose build is not this one.
fn outdated() -> Response {
    let status = StatusCode::from_u16(AppError::Outdated.status()).unwrap_or_default();
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, headers, AppError::Outdated.to_string()).into_response()
}

/// The field names under which a form sends the current password: its own field, or the one that any form shows when a
/// fresh sign-in is required.
const PASSWORDS: [&str; 3] = [
    "_current_password",
    "form[current_password]",
    "current_password",
];

/// Passes the form's current password, if any, to the code that authenticates the caller.
fn give_password(parts: &Parts, body: &[u8]) {
    let Some(caller) = parts.extensions.get::<Caller>() else {
        return;
    };
    let fields = read_form(body);
    let given = PASSWORDS.iter().find_map(|name| {
        let field = fields.iter().find(|(field, _)| field == name);
        field.filter(|(_, value)| !value.is_empty())
    });
    if let Some((_, password)) = given {
        caller.give_password(Secret::from(password.as_str()));
    }
}

/// The redirect target: where the server function points, or else the form's page.
fn target(
    state: &AppState,
    asked: Option<&str>,
    back: Option<&str>,
    referer: Option<&str>,
) -> String {
    let providers = state.ctx.payments().origins();
    let asked = asked.map(|place| {
        if is_at(place, providers) {
            place
        } else {
            own_path(place)
        }
    });
    let back = back.map(own_path).filter(|path| *path != "/");
    let referer = referer
        .and_then(|referer| referer.strip_prefix(&state.ctx.site().public_url))
        .map(own_path);
    asked.or(back).or(referer).unwrap_or("/").to_owned()
}

/// Whether a URL is on one of the payment provider's sites.
fn is_at(place: &str, origins: &[String]) -> bool {
    let rest = |origin: &String| place.strip_prefix(origin.as_str());
    origins
        .iter()
        .filter_map(rest)
        .any(|rest| rest.starts_with('/'))
}

/// Before a page is rendered: passes it the response that waits for it.
pub async fn deliver(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let asks = request.method() == Method::GET
        && text(request.headers(), header::ACCEPT)
            .is_some_and(|accept| accept.contains("text/html"));
    let name = cookie_name(state.ctx.site().is_https());
    let waiting = asks
        .then(|| cookie(request.headers(), name).map(str::to_owned))
        .flatten();
    let Some(id) = waiting else {
        return next.run(request).await;
    };
    let page = request.uri().path().to_owned();
    let flash = match flashes::take(&state.ctx, &id, &page).await {
        Ok(Found::Here(flash)) => *flash,
        // After a failure, which was logged, it may still be there.
        Ok(Found::ForAnother) | Err(_) => return next.run(request).await,
        Ok(Found::Nothing) => {
            let mut response = next.run(request).await;
            append_cookie(&state, response.headers_mut(), "");
            return response;
        }
    };
    let caller = request.extensions().get::<Caller>().cloned();
    request.extensions_mut().insert(flash.clone());
    let mut response = next.run(request).await;
    // A page that only redirects (from `/` to the workspace) or fails has shown nothing yet: the response moves to the
    // next page, or waits until the same page is requested again.
    let next = if response.status().is_redirection() {
        text(response.headers(), header::LOCATION).map(str::to_owned)
    } else {
        response.status().is_server_error().then_some(page)
    };
    let id = match next {
        Some(next) => insert(&state, caller.as_ref(), flash, &next).await,
        None => None,
    };
    let id = id.as_ref().map_or("", Secret::expose);
    append_cookie(&state, response.headers_mut(), id);
    response
}

/// Stores a response for a page. If that fails, it is not shown, but the action is done, so the browser continues.
async fn insert(
    state: &AppState,
    caller: Option<&Caller>,
    flash: Flash,
    page: &str,
) -> Option<Secret> {
    let owner = Owner::of(caller?).await;
    // A failure is logged where it happens.
    let kept = flashes::insert(&state.ctx, &owner, page, flash).await;
    kept.ok().flatten()
}

/// Sets the cookie to a response's ID, or deletes it.
fn append_cookie(state: &AppState, headers: &mut HeaderMap, id: &str) {
    let https = state.ctx.site().is_https();
    let name = cookie_name(https);
    let secure = if https { "; Secure" } else { "" };
    let life = if id.is_empty() { 0 } else { LIFE.as_secs() };
    let cookie = format!("{name}={id}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={life}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// Names of fields whose values are never stored.
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
}

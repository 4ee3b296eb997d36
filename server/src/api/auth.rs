//! The layer that every API request passes: authentication, rate limits, and the request log of the key.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::Timestamp;
use store::api_keys::usage::RequestLine;
use store::auth::ApiKeyPrincipal;
use store::auth::api_keys::check;
use store::db::ShareHolder;
use store::rate_limit::api::{ApiLimitCheck, ApiLimits};
use store::rate_limit::auth::KeyCaller;

use super::problem::Problem;
use super::rate;
use crate::http::client_ip::peer_address;
use crate::state::AppState;

/// The timeout of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum length of a path in the request log, in bytes.
const MAX_LOGGED_PATH_LEN: usize = 200;

/// The IP address of the client.
#[derive(Clone, Copy, Debug)]
pub struct ClientIp(pub IpAddr);

/// Accepts a request with a valid key, and logs its outcome.
pub async fn admit(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let address = peer_address(&request, &state.proxies);
    let rates = state.ctx.limits().api();
    let key = match find(&state, request.headers(), address).await {
        Ok(key) => key,
        Err(problem) => return reject(rates, address, problem),
    };
    let facts = key.facts();
    let holder = ShareHolder::Workspace(facts.workspace);
    let verdict = rates.map(|rates| rates.with_key(facts.id, facts.workspace));
    let verdict = verdict.unwrap_or_default();
    let line = RequestLine {
        key: facts.id,
        at: Timestamp::now(),
        method: request.method().to_string(),
        path: logged_path(&request),
        status: 0,
        duration: Duration::ZERO,
        address,
    };
    let response = if let Some(wait) = verdict.retry_after {
        Problem::rate_limited(wait).into_response()
    } else {
        state.key_usage.note_use(&key, None, address);
        request.extensions_mut().insert(ClientIp(address));
        request.extensions_mut().insert(key);
        let shares = state.ctx.db().shares();
        shares.run(holder, next.run(request)).await
    };
    state.key_usage.note_request(RequestLine {
        status: response.status().as_u16(),
        duration: started.elapsed(),
        ..line
    });
    rate::set_rate_limit_headers(&verdict, response)
}

/// The principal of the key in the request.
async fn find(
    state: &AppState,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<ApiKeyPrincipal, Problem> {
    let token = bearer(headers).ok_or_else(Problem::no_key)?;
    let caller = KeyCaller::Network(address);
    Ok(check(&state.keys, &state.ctx, token, address, caller).await?)
}

fn reject(rates: Option<&ApiLimits>, address: IpAddr, problem: Problem) -> Response {
    let verdict = rates.map_or_else(ApiLimitCheck::default, |rates| rates.without_key(address));
    let problem = verdict.retry_after.map_or(problem, Problem::rate_limited);
    rate::set_rate_limit_headers(&verdict, problem.into_response())
}

/// The key in `Authorization: Bearer …` (RFC 6750); the scheme's case does not matter.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn logged_path(request: &Request) -> String {
    let path = request
        .extensions()
        .get::<OriginalUri>()
        .map_or(request.uri().path(), |uri| uri.0.path());
    let mut path = path.to_owned();
    // A path is ASCII: everything else is percent-encoded.
    path.truncate(MAX_LOGGED_PATH_LEN);
    path
}

/// A request that times out still gets a response.
pub async fn timeout(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::too_slow().into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_the_header_in_any_case_and_from_nothing_else() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(read("Bearer wh_live_x").as_deref(), Some("wh_live_x"));
        assert_eq!(read("bearer  wh_live_x ").as_deref(), Some("wh_live_x"));
        assert_eq!(read("Basic wh_live_x"), None);
        assert_eq!(read("wh_live_x"), None);
        assert_eq!(read("Bearer "), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}

//! Identifies the caller: the IP address, the session cookie, and when the session was last seen.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use app::session::api::{cookie_name, new_session_cookie};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use store::auth::{Caller, RequestInfo, sessions};
use store::db::ShareHolder;
use store::master_key::hash_token;

use crate::state::AppState;

/// Adds a [`Caller`] to the request. It looks nothing up until someone asks for the user.
pub async fn identify(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let info = RequestInfo {
        address: peer_address(&request, &state.proxies),
        user_agent: text(request.headers(), header::USER_AGENT)
            .unwrap_or_default()
            .to_owned(),
    };
    let cookie =
        cookie(request.headers(), cookie_name(state.ctx.site().is_https())).map(str::to_owned);
    let session = cookie.as_deref().map(hash_token);
    let caller = Caller::new(state.ctx.clone(), info, cookie);
    request.extensions_mut().insert(caller.clone());
    let mut response = match session {
        Some(session) => {
            let shares = state.ctx.db().shares();
            shares
                .run(ShareHolder::Session(session), next.run(request))
                .await
        }
        None => next.run(request).await,
    };
    if let Some(token) = caller.new_cookie() {
        let https = state.ctx.site().is_https();
        if let Ok(cookie) = HeaderValue::from_str(&new_session_cookie(https, &token)) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    if let Some(seen) = caller.seen().await
        && state.presence.is_due(seen.person.session())
    {
        let ctx = state.ctx.clone();
        // A failure is logged where it happens; nobody waits for it.
        tokio::spawn(async move { sessions::record_last_seen(&ctx, &seen).await });
    }
    response
}

/// The IP address of the client.
pub fn peer_address(request: &Request, proxies: &[IpNet]) -> IpAddr {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(peer)| peer.ip());
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    address(peer, request.headers(), proxies)
}

/// The peer's IP address, unless the peer is a trusted proxy: then the last IP address in X-Forwarded-For that is not
/// one. Entries that a client adds itself stand further left and are never reached.
fn address(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let trusted = |address: IpAddr| {
        proxies
            .iter()
            .any(|network| network.contains(&address.to_canonical()))
    };
    if !trusted(peer) {
        return peer;
    }
    let forwarded: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    for text in forwarded.into_iter().rev() {
        match text.parse::<IpAddr>() {
            Ok(address) if trusted(address) => {}
            Ok(address) => return address,
            Err(_) => return peer,
        }
    }
    peer
}

/// Whether a request comes from this machine or a private network, as far as is known: a request forwarded by an
/// untrusted proxy may come from anywhere.
pub fn is_private_peer(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> bool {
    let forwarded = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];
    let trusted = proxies
        .iter()
        .any(|network| network.contains(&peer.to_canonical()));
    if !trusted && forwarded.iter().any(|name| headers.contains_key(*name)) {
        return false;
    }
    match address(peer, headers, proxies).to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

pub fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A cookie's value.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &str, proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        let proxies: Vec<IpNet> = proxies.iter().map(|text| text.parse().unwrap()).collect();
        address(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn a_forged_header_changes_nothing() {
        assert_eq!(seen("203.0.113.9", "1.2.3.4", &[]), "203.0.113.9");
        assert_eq!(
            seen("203.0.113.9", "1.2.3.4", &["10.0.0.0/8"]),
            "203.0.113.9"
        );
        assert_eq!(
            seen("10.0.0.1", "1.2.3.4, 198.51.100.7", &["10.0.0.0/8"]),
            "198.51.100.7"
        );
        assert_eq!(
            seen(
                "10.0.0.1",
                "1.2.3.4, 198.51.100.7, 10.0.0.2",
                &["10.0.0.0/8"]
            ),
            "198.51.100.7"
        );
        assert_eq!(seen("10.0.0.1", "nonsense", &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn near_is_what_no_stranger_forwarded() {
        let near = |peer: &str, forwarded: Option<&str>, proxies: &[&str]| {
            let mut headers = HeaderMap::new();
            if let Some(forwarded) = forwarded {
                headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            }
            let proxies: Vec<IpNet> = proxies.iter().map(|text| text.parse().unwrap()).collect();
            is_private_peer(peer.parse().unwrap(), &headers, &proxies)
        };
        assert!(near("127.0.0.1", None, &[]));
        assert!(near("::1", None, &[]));
        assert!(near("::ffff:10.0.0.7", None, &[]));
        assert!(!near("203.0.113.9", None, &[]));
        assert!(!near("127.0.0.1", Some("203.0.113.9"), &[]));
        assert!(
            !near("127.0.0.1", Some("10.0.0.7"), &[]),
            "anybody can say so"
        );
        assert!(near("127.0.0.1", Some("10.0.0.7"), &["127.0.0.0/8"]));
        assert!(!near("127.0.0.1", Some("203.0.113.9"), &["127.0.0.0/8"]));
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            "a=1; wheelhouse_session=abc; b=2".parse().unwrap(),
        );
        assert_eq!(cookie(&headers, "wheelhouse_session"), Some("abc"));
        assert_eq!(cookie(&headers, "session"), None);
    }
}

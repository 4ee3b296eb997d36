//! The check of a presented key.

use std::net::IpAddr;

use domain::Timestamp;

use super::cache::ApiKeyCache;
use super::refusal::KeyRefusal;
use crate::auth::key::ApiKeyPrincipal;
use crate::auth::key_token::KeyToken;
use crate::context::AppContext;
use crate::rate_limit::auth::KeyCaller;

/// The only way to authenticate a key: returns its principal if it is valid now and from this IP address. Writes
/// nothing. `caller` is counted against the limit if the key is unknown.
pub async fn check(
    keys: &ApiKeyCache,
    ctx: &AppContext,
    token: &str,
    address: IpAddr,
    caller: KeyCaller,
) -> Result<ApiKeyPrincipal, KeyRefusal> {
    let token = KeyToken::parse(token).map_err(|_| KeyRefusal::Malformed)?;
    let known = keys.find(ctx, token.hash(), caller).await?;
    known.admit(address, Timestamp::now())
}

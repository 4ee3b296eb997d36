//! Signatures by Standard Webhooks 1.0 (standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::webhooks::Header;
use domain::{AppError, EventId, Secret, Timestamp, WebhookId};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::context::AppContext;
use crate::db::entity::webhook;

const PREFIX: &str = "whsec_";
const SECRET_BYTES: usize = 32;
/// The purposes of values encrypted with the server's key.
pub(crate) const SECRET_PURPOSE: &str = "webhook secret";
const HEADERS_PURPOSE: &str = "webhook headers";
/// The User-Agent of deliveries.
pub const USER_AGENT: &str = "Wheelhouse-Webhooks/1";

/// A new secret: `whsec_` and 32 random bytes in base64.
pub fn new_secret() -> Secret {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    Secret::from(format!("{PREFIX}{}", STANDARD.encode(bytes)))
}

pub fn seal_secret(ctx: &AppContext, webhook: WebhookId, secret: &Secret) -> Vec<u8> {
    ctx.master_key().encrypt(
        SECRET_PURPOSE,
        &webhook.to_string(),
        secret.expose().as_bytes(),
    )
}

fn open_secret(ctx: &AppContext, webhook: WebhookId, sealed: &[u8]) -> Result<Secret, AppError> {
    ctx.master_key()
        .decrypt(SECRET_PURPOSE, &webhook.to_string(), sealed)
        .and_then(|plain| String::from_utf8(plain).ok())
        .map(Secret::from)
        .ok_or_else(|| unreadable(webhook))
}

/// The valid secrets: the current one, and during a rotation the previous one.
pub fn secrets(ctx: &AppContext, row: &webhook::Model) -> Result<Vec<Secret>, AppError> {
    let mut secrets = vec![open_secret(ctx, row.id, &row.secret)?];
    if let (Some(previous), Some(until)) = (&row.previous_secret, row.previous_secret_until)
        && until > Timestamp::now()
        // A secret that cannot be decrypted is replaced by rotating it: then only the new one signs.
        && let Ok(previous) = open_secret(ctx, row.id, previous)
    {
        secrets.push(previous);
    }
    Ok(secrets)
}

/// Custom headers, encrypted together: their values are often passwords.
pub fn seal_headers(ctx: &AppContext, webhook: WebhookId, headers: &[Header]) -> Option<Vec<u8>> {
    let json = serde_json::to_vec(headers).ok()?;
    (!headers.is_empty()).then(|| {
        ctx.master_key()
            .encrypt(HEADERS_PURPOSE, &webhook.to_string(), &json)
    })
}

pub fn headers(ctx: &AppContext, row: &webhook::Model) -> Result<Vec<Header>, AppError> {
    let Some(sealed) = &row.headers else {
        return Ok(Vec::new());
    };
    ctx.master_key()
        .decrypt(HEADERS_PURPOSE, &row.id.to_string(), sealed)
        .and_then(|json| serde_json::from_slice(&json).ok())
        .ok_or_else(|| unreadable(row.id))
}

/// Encrypted with another server's key, or moved here from another row.
fn unreadable(webhook: WebhookId) -> AppError {
    tracing::error!(%webhook, "cannot decrypt a webhook's secret or headers: were they encrypted with another WHEELHOUSE_SECRET_KEY?");
    AppError::Internal {
        incident: "sealed".to_owned(),
    }
}

/// A signature, or `None` if the secret is malformed.
pub fn sign(secret: &Secret, id: EventId, seconds: i64, body: &str) -> Option<String> {
    let key = STANDARD
        .decode(secret.expose().strip_prefix(PREFIX)?)
        .ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body.as_bytes());
    Some(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

/// Our own headers for an attempt made now.
pub fn own_headers(
    secrets: &[Secret],
    id: EventId,
    now: Timestamp,
    body: &str,
) -> Vec<(&'static str, String)> {
    let seconds = now.millis() / 1000;
    let signatures: Vec<String> = secrets
        .iter()
        .filter_map(|secret| sign(secret, id, seconds, body))
        .collect();
    vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", USER_AGENT.to_owned()),
        ("webhook-id", id.to_string()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_32_random_bytes() {
        let (a, b) = (new_secret(), new_secret());
        assert_ne!(a, b);
        let bytes = STANDARD
            .decode(a.expose().strip_prefix("whsec_").unwrap())
            .unwrap();
        assert_eq!(bytes.len(), 32);
    }

    #[test]
    fn each_valid_secret_signs_and_another_body_is_signed_otherwise() {
        let (a, b) = (new_secret(), new_secret());
        let (id, now) = (EventId::new(), Timestamp::from_millis(1_795_435_200_999));
        let headers = own_headers(&[a.clone(), b.clone()], id, now, "{}");
        let get = |name| {
            &headers
                .iter()
                .find(|(header, _)| *header == name)
                .unwrap()
                .1
        };
        assert_eq!(get("webhook-timestamp"), "1795435200");
        let both = format!(
            "{} {}",
            sign(&a, id, 1_795_435_200, "{}").unwrap(),
            sign(&b, id, 1_795_435_200, "{}").unwrap()
        );
        assert_eq!(get("webhook-signature"), &both);
        assert_ne!(sign(&a, id, 1, "{}"), sign(&a, id, 1, "{} "));
        assert_eq!(sign(&Secret::from("no secret"), id, 1, "{}"), None);
    }
}

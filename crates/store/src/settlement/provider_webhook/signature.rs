//! The signature of an event: how it is made, and how it is verified.

use std::fmt::Write as _;
use std::time::Duration;

use domain::{Secret, Timestamp, minutes};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// An event with an older signature may be a replay.
const TOLERANCE: Duration = minutes(5);

/// The signature header for a body sent at `second` since the Unix epoch.
pub fn sign(secret: &Secret, second: i64, body: &[u8]) -> String {
    format!("t={second},v1={}", tag(secret, second, body))
}

fn tag(secret: &Secret, second: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(format!("{second}.").as_bytes());
    mac.update(body);
    let mut text = String::new();
    for byte in mac.finalize().into_bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether the header is a recent, valid signature of this body. While secrets change, it has several signatures.
pub(super) fn is_signed(secret: &Secret, header: &str, body: &[u8], now: Timestamp) -> bool {
    let parts = |name: &'static str| {
        let all = header
            .split(',')
            .filter_map(|part| part.trim().split_once('='));
        all.filter_map(move |(key, value)| (key == name).then_some(value))
    };
    let Some(second) = parts("t").next().and_then(|text| text.parse::<i64>().ok()) else {
        return false;
    };
    let signed_at = Timestamp::from_millis(second.saturating_mul(1000));
    if now.since(signed_at) > TOLERANCE || signed_at.since(now) > TOLERANCE {
        return false;
    }
    let right = tag(secret, second, body);
    parts("v1").any(|tag| tag.as_bytes().ct_eq(right.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_secret_body_and_minutes() {
        let (secret, body) = (Secret::from("whsec_test"), br#"{"id":"evt_1"}"#.as_slice());
        let second = 1_764_000_000;
        let now = Timestamp::from_millis(second * 1000);
        let header = sign(&secret, second, body);
        assert!(is_signed(&secret, &header, body, now));
        assert!(is_signed(&secret, &header, body, now.after(TOLERANCE)));
        assert!(
            !is_signed(&secret, &header, body, now.after(minutes(6))),
            "too old"
        );
        assert!(
            !is_signed(&secret, &header, body, now.before(minutes(6))),
            "from the future"
        );
        let other = Secret::from("whsec_other");
        assert!(!is_signed(&other, &header, body, now));
        assert!(!is_signed(&secret, &header, b"{}", now));
        let both = format!(
            "{},v1={}",
            sign(&other, second, body),
            tag(&secret, second, body)
        );
        assert!(is_signed(&secret, &both, body, now), "one of two");
        for header in ["", "t=1764000000", "v1=00", "t=x,v1=00", "t=1764000000,v1="] {
            assert!(!is_signed(&secret, header, body, now), "{header}");
        }
    }
}

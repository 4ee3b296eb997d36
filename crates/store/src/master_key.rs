//! Secrets: the server's key, the keys derived from it, and random tokens and their hashes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, Payload};
use domain::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Size of the server's key and of every token, in bytes (256 bits).
pub const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// The server's key. Each purpose gets its own derived key, so that a value made for one purpose is useless for
/// another.
#[derive(Clone)]
pub struct MasterKey {
    master: [u8; KEY_BYTES],
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl MasterKey {
    pub fn new(master: [u8; KEY_BYTES]) -> Self {
        Self { master }
    }

    /// Parses the key as an operator writes it: base64 of 32 bytes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = STANDARD
            .decode(text.trim())
            .map_err(|_| "must be base64".to_owned())?;
        let master = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| {
            format!(
                "must be base64 of {KEY_BYTES} bytes, but holds {}",
                bytes.len()
            )
        })?;
        Ok(Self { master })
    }

    /// A new random key, in the form that [`MasterKey::parse`] reads.
    pub fn generate() -> String {
        STANDARD.encode(random())
    }

    /// An HMAC of `message` for one `purpose`: 192 bits, as 32 characters that are safe in a URL.
    pub fn mac(&self, purpose: &str, message: &[u8]) -> String {
        let mut mac = self.hmac(purpose);
        mac.update(message);
        URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..24])
    }

    /// Whether `mac` is the one for `message` and `purpose`, compared in constant time.
    pub fn is_mac(&self, purpose: &str, message: &[u8], mac: &str) -> bool {
        self.mac(purpose, message)
            .as_bytes()
            .ct_eq(mac.as_bytes())
            .into()
    }

    /// Encrypts `plain` with XChaCha20-Poly1305 and prepends the random nonce. `context` binds the ciphertext to its
    /// owner, such as a row's id: bytes that are moved to another row cannot be decrypted there.
    pub fn encrypt(&self, purpose: &str, context: &str, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
        let sealed = self
            .cipher(purpose)
            .encrypt(&nonce.into(), payload(plain, context))
            .expect("a text in memory is short enough to seal");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Decrypts a ciphertext of [`MasterKey::encrypt`] with the same purpose and context; otherwise returns `None`.
    pub fn decrypt(&self, purpose: &str, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        self.cipher(purpose)
            .decrypt(&(*nonce).into(), payload(sealed, context))
            .ok()
    }

    fn cipher(&self, purpose: &str) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.derive(purpose).into())
    }

    fn hmac(&self, purpose: &str) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.derive(purpose))
            .expect("HMAC takes a key of any length")
    }

    fn derive(&self, purpose: &str) -> [u8; KEY_BYTES] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.master).expect("HMAC takes a key of any length");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

fn payload<'a>(text: &'a [u8], context: &'a str) -> Payload<'a, 'a> {
    Payload {
        msg: text,
        aad: context.as_bytes(),
    }
}

/// A random token for a cookie or a link. The database stores only its hash.
pub struct Token {
    plain: Secret,
    hash: Vec<u8>,
}

impl Token {
    pub fn generate() -> Self {
        let plain = URL_SAFE_NO_PAD.encode(random());
        Self {
            hash: hash_token(&plain),
            plain: Secret::from(plain),
        }
    }

    pub fn plain(&self) -> &Secret {
        &self.plain
    }

    pub fn hash(&self) -> Vec<u8> {
        self.hash.clone()
    }
}

/// SHA-256 of a token. Tokens are random enough that a slow hash would add nothing.
pub fn hash_token(plain: &str) -> Vec<u8> {
    Sha256::digest(plain.as_bytes()).to_vec()
}

/// A random number for names that must not collide. Not for secrets.
pub fn random_mark() -> u32 {
    getrandom::u32().expect("the operating system gives random bytes")
}

fn random() -> [u8; KEY_BYTES] {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_holds_for_its_purpose_and_message_alone() {
        let ring = MasterKey::new([7; KEY_BYTES]);
        let tag = ring.mac("invitation", b"inv_1/1");
        assert_eq!(tag.len(), 32);
        assert!(ring.is_mac("invitation", b"inv_1/1", &tag));
        assert!(!ring.is_mac("invitation", b"inv_1/2", &tag));
        assert!(!ring.is_mac("unsubscribe", b"inv_1/1", &tag));
        assert!(!MasterKey::new([8; KEY_BYTES]).is_mac("invitation", b"inv_1/1", &tag));
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_owner_alone() {
        let ring = MasterKey::new([7; KEY_BYTES]);
        let sealed = ring.encrypt("webhook secret", "whk_1", b"whsec_x");
        assert_eq!(
            ring.decrypt("webhook secret", "whk_1", &sealed).as_deref(),
            Some(b"whsec_x".as_slice())
        );
        assert_eq!(ring.decrypt("webhook secret", "whk_2", &sealed), None);
        assert_eq!(ring.decrypt("webhook headers", "whk_1", &sealed), None);
        assert_eq!(ring.decrypt("webhook secret", "whk_1", &sealed[1..]), None);
        assert_eq!(ring.decrypt("webhook secret", "whk_1", b"short"), None);
        assert_ne!(
            sealed,
            ring.encrypt("webhook secret", "whk_1", b"whsec_x"),
            "each seal has a nonce of its own"
        );
    }

    #[test]
    fn a_key_reads_back_and_a_bad_one_says_why() {
        assert!(MasterKey::parse(&MasterKey::generate()).is_ok());
        assert_eq!(
            MasterKey::parse("c2hvcnQ=").unwrap_err(),
            "must be base64 of 32 bytes, but holds 5"
        );
        assert_eq!(MasterKey::parse("*").unwrap_err(), "must be base64");
    }

    #[test]
    fn nothing_prints_a_key() {
        assert_eq!(
            format!("{:?}", MasterKey::new([7; KEY_BYTES])),
            "MasterKey(…)"
        );
    }
}

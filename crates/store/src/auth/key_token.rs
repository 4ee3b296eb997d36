//! The format of a key: `wh_live_` or `wh_test_`, 28 random characters, and a checksum of six characters. The checksum
//! detects every mistyped or truncated key and lets secret scanners recognize our keys, both without a database query.

use std::fmt;

use domain::Secret;
use domain::catalog::Mode;
use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 28 characters of 62 kinds hold 166 bits.
const RANDOM: usize = 28;
/// Six characters of 62 kinds hold more than the 32 bits of a CRC.
const CHECK: usize = 6;
/// How many random characters the list shows, after the prefix and at the end.
const SHOWN: usize = 4;

/// The stored hash of a key, used to find it.
pub type KeyHash = [u8; 32];

/// A string that is not in the format of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAKey;

impl fmt::Display for NotAKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed API key")
    }
}

impl std::error::Error for NotAKey {}

/// A key in clear text. It cannot be printed.
#[derive(Clone, Debug)]
pub struct KeyToken {
    mode: Mode,
    text: Secret,
}

const fn prefix(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "wh_live_",
        Mode::Test => "wh_test_",
    }
}

impl KeyToken {
    pub fn generate(mode: Mode) -> Self {
        let mut text = prefix(mode).to_owned();
        let end = text.len() + RANDOM;
        while text.len() < end {
            let mut bytes = [0; 64];
            getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
            // Six bits give 64 values for 62 characters: the extra values are discarded, so that all characters are equally likely.
            let drawn = bytes
                .iter()
                .filter_map(|byte| ALPHABET.get(usize::from(byte & 63)))
                .map(|&letter| char::from(letter));
            text.extend(drawn.take(end - text.len()));
        }
        let check = check_of(&text);
        text.push_str(&check);
        Self {
            mode,
            text: text.into(),
        }
    }

    /// Parses a key. Does not say whether the key exists.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let mode = Mode::ALL
            .into_iter()
            .find(|mode| text.starts_with(prefix(*mode)))
            .ok_or(NotAKey)?;
        let rest = &text.as_bytes()[prefix(mode).len()..];
        if rest.len() != RANDOM + CHECK || !rest.iter().all(u8::is_ascii_alphanumeric) {
            return Err(NotAKey);
        }
        let (body, check) = text.split_at(text.len() - CHECK);
        if check_of(body) != check {
            return Err(NotAKey);
        }
        Ok(Self {
            mode,
            text: text.into(),
        })
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub fn secret(&self) -> &Secret {
        &self.text
    }

    /// A plain hash is enough for a random key: no dictionary attack is possible.
    pub fn hash(&self) -> KeyHash {
        Sha256::digest(self.text.expose()).into()
    }

    /// The parts that the list shows: `wh_live_Ab12` and `x9Yz`.
    pub fn shown(&self) -> (&str, &str) {
        let text = self.text.expose();
        (
            &text[..prefix(self.mode).len() + SHOWN],
            &text[text.len() - SHOWN..],
        )
    }
}

/// CRC-32 (ISO-HDLC, as in zip and PNG) in base 62, most significant first, padded with `0`.
fn check_of(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut check = [b'0'; CHECK];
    for place in check.iter_mut().rev() {
        *place = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    check.iter().map(|&letter| char::from(letter)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    /// Worked out with Python's zlib.crc32.
    const KNOWN: [(&str, &str); 3] = [
        ("wh_live_0000000000000000000000000000", "1DcDtp"),
        ("wh_test_0123456789ABCDEFGHIJKLMNOPQR", "2iFYs9"),
        ("wh_live_zzzzzzzzzzzzzzzzzzzzzzzzzzzz", "2oOxVz"),
    ];

    #[test]
    fn known_keys() {
        for (body, check) in KNOWN {
            let text = format!("{body}{check}");
            let token =
                KeyToken::parse(&text).unwrap_or_else(|_| panic!("{body}{}", check_of(body)));
            assert_eq!(token.secret().expose(), text);
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        let (body, check) = KNOWN[0];
        for text in [
            String::new(),
            "wh_live_".to_owned(),
            body.to_owned(),
            format!("{body}{check}0"),
            format!(" {body}{check}"),
            format!("{body}{check}\n"),
            format!("wh_test_{}{check}", &body[8..]),
            format!("sk_live_{}{check}", &body[8..]),
            format!("wh_live_{}é{check}", &body[10..]),
            "🗝".repeat(21),
        ] {
            assert!(KeyToken::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_does_not_print_and_shows_only_its_ends() {
        let token = KeyToken::generate(Mode::Live);
        let text = token.secret().expose().to_owned();
        assert!(!format!("{token:?}").contains(&text[8..]));
        let (start, end) = token.shown();
        assert_eq!((start.len(), end.len()), (12, 4));
        assert!(text.starts_with(start) && text.ends_with(end));
    }

    #[test]
    fn keys_are_all_different_and_use_the_whole_alphabet() {
        let keys: Vec<String> = (0..500)
            .map(|_| KeyToken::generate(Mode::Test).secret().expose().to_owned())
            .collect();
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
        let mut counts = [0_u32; 128];
        for key in &keys {
            for byte in &key.as_bytes()[8..8 + RANDOM] {
                counts[usize::from(*byte)] += 1;
            }
        }
        // 14,000 draws, 226 of each expected: one that comes half or twice as often is no accident.
        for &letter in ALPHABET {
            let count = counts[usize::from(letter)];
            assert!(
                (113..452).contains(&count),
                "{} {count}",
                char::from(letter)
            );
        }
    }

    proptest! {
        #[test]
        fn any_one_changed_character_is_refused(place in 0_usize..42, letter in "[ -~]", live: bool) {
            let token = KeyToken::generate(if live { Mode::Live } else { Mode::Test });
            let mut text = token.secret().expose().to_owned();
            prop_assert_eq!(KeyToken::parse(&text).unwrap().hash(), token.hash());
            if text[place..=place] != *letter {
                text.replace_range(place..=place, &letter);
                prop_assert!(KeyToken::parse(&text).is_err());
            }
        }

        #[test]
        fn any_two_neighbours_that_change_places_are_refused(place in 0_usize..41) {
            let token = KeyToken::generate(Mode::Live);
            let mut bytes = token.secret().expose().as_bytes().to_vec();
            bytes.swap(place, place + 1);
            let text = String::from_utf8(bytes).unwrap();
            prop_assert!(text == token.secret().expose() || KeyToken::parse(&text).is_err());
        }

        #[test]
        fn parsing_never_panics(text in ".{0,60}") {
            let _ = KeyToken::parse(&text);
            let _ = KeyToken::parse(&format!("wh_live_{text}"));
        }
    }
}

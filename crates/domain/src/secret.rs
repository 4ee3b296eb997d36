//! Text that must not be printed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A password or token. It does not print; code that needs the text calls [`Secret::expose`]. It serializes, because a
/// browser has to post it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Shortest and longest new password, in characters (NIST SP 800-63B asks for long rather than intricate ones).
pub const SHORTEST_PASSWORD: usize = 12;
pub const MAX_PASSWORD_LEN: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordError {
    Empty,
    TooShort,
    TooLong,
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Enter a password"),
            Self::TooShort => write!(
                f,
                "Password must be at least {SHORTEST_PASSWORD} characters"
            ),
            Self::TooLong => {
                write!(
                    f,
                    "Password must be no longer than {MAX_PASSWORD_LEN} characters"
                )
            }
        }
    }
}

impl std::error::Error for PasswordError {}

/// The rule for a new password that client and server check; the server also refuses common passwords.
pub fn check_new_password(text: &str) -> Result<(), PasswordError> {
    match text.chars().count() {
        0 => Err(PasswordError::Empty),
        1..SHORTEST_PASSWORD => Err(PasswordError::TooShort),
        SHORTEST_PASSWORD..=MAX_PASSWORD_LEN => Ok(()),
        _ => Err(PasswordError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let secret = Secret::from("hunter2 hunter2");
        assert_eq!(
            format!("{secret:?} {:?}", Some(&secret)),
            "Secret(…) Some(Secret(…))"
        );
    }

    #[test]
    fn length_counts_characters_not_bytes() {
        assert_eq!(
            check_new_password("ñandú-ñandú"),
            Err(PasswordError::TooShort)
        );
        assert_eq!(check_new_password("ñandú-ñandú!"), Ok(()));
        assert_eq!(check_new_password(&"山".repeat(128)), Ok(()));
        assert_eq!(
            check_new_password(&"x".repeat(129)),
            Err(PasswordError::TooLong)
        );
    }
}

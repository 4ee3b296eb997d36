//! Names that people give themselves and their workspaces.

use std::fmt;

use super::parsed_text::parsed_text;

/// Longest name, in characters.
pub const MAX_LEN: usize = 80;

/// A display name: 1 to 80 characters of any script, with white space trimmed and collapsed. Line breaks, other control
/// characters and characters that change the direction of text are refused, because names appear in sentences and email
/// headers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

parsed_text!(Name, NameError);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    Empty,
    TooLong,
    Unprintable,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Enter a name"),
            Self::TooLong => write!(f, "Name must be {MAX_LEN} characters or fewer"),
            Self::Unprintable => {
                f.write_str("Name contains invisible characters. Remove them and try again.")
            }
        }
    }
}

impl std::error::Error for NameError {}

impl Name {
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.trim().chars().any(is_unprintable) {
            return Err(NameError::Unprintable);
        }
        let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match name.chars().count() {
            0 => Err(NameError::Empty),
            1..=MAX_LEN => Ok(Self(name)),
            _ => Err(NameError::TooLong),
        }
    }
}

/// A text as searches compare it: case-insensitive in every script. Databases differ in how they do this.
#[cfg(feature = "server")]
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}

fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_trimmed_and_checked() {
        assert_eq!(
            Name::parse("  Ada   Lovelace ").unwrap().as_str(),
            "Ada Lovelace"
        );
        assert_eq!(Name::parse("山田 太郎").unwrap().as_str(), "山田 太郎");
        assert_eq!(Name::parse(" \u{3000} "), Err(NameError::Empty));
        assert_eq!(Name::parse(&"x".repeat(81)), Err(NameError::TooLong));
        assert_eq!(Name::parse("Ada\nBcc: x"), Err(NameError::Unprintable));
        assert_eq!(Name::parse("Ada\u{202e}nimda"), Err(NameError::Unprintable));
    }

    proptest! {
        #[test]
        fn a_name_parses_to_itself(text in ".{0,90}") {
            if let Ok(name) = Name::parse(&text) {
                prop_assert_eq!(Name::parse(name.as_str()).unwrap(), name.clone());
                prop_assert!(!name.as_str().contains(char::is_control));
            }
        }
    }
}

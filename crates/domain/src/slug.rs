//! Slugs: the workspace's part of its URL.

use std::fmt;

use super::parsed_text::parsed_text;

pub const SHORTEST: usize = 3;
pub const MAX_LEN: usize = 40;

/// Words that are or may become paths of this program, or that would mislead.
pub const RESERVED: &[&str] = &[
    "about",
    "abuse",
    "account",
    "admin",
    "administrator",
    "api",
    "app",
    "assets",
    "auth",
    "billing",
    "blog",
    "confirm-email",
    "confirm-password",
    "contact",
    "create",
    "credits",
    "dashboard",
    "dev",
    "docs",
    "download",
    "favicon",
    "fn",
    "forgot-password",
    "healthz",
    "help",
    "home",
    "inbox",
    "invite",
    "legal",
    "live",
    "login",
    "logout",
    "mail",
    "members",
    "metrics",
    "new",
    "notifications",
    "null",
    "outbox",
    "pay",
    "pkg",
    "pricing",
    "privacy",
    "public",
    "readyz",
    "register",
    "reset-password",
    "robots",
    "root",
    "security",
    "settings",
    "sign-in",
    "sign-out",
    "sign-up",
    "signin",
    "signout",
    "signup",
    "static",
    "status",
    "stripe",
    "support",
    "system",
    "terms",
    "undefined",
    "unsubscribe",
    "wheelhouse",
    "webhooks",
    "workspace",
    "workspaces",
    "www",
];

/// The workspace's part of its URL, as in `/w/acme`: 3 to 40 of `a-z`, `0-9` and `-`, with single hyphens and none at
/// the ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "server", derive(sea_orm::DeriveValueType))]
#[cfg_attr(feature = "server", sea_orm(value_type = "String"))]
pub struct Slug(String);

parsed_text!(Slug, SlugError);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlugError {
    Empty,
    TooShort,
    TooLong,
    Characters,
    Hyphens,
    Reserved,
}

impl fmt::Display for SlugError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Enter a workspace URL"),
            Self::TooShort => write!(f, "Use at least {SHORTEST} characters"),
            Self::TooLong => write!(f, "Use {MAX_LEN} characters or fewer"),
            Self::Characters => f.write_str("Use lowercase letters, numbers and hyphens only"),
            Self::Hyphens => f.write_str("Hyphens can't be doubled or come first or last"),
            Self::Reserved => f.write_str("That URL is reserved"),
        }
    }
}

impl std::error::Error for SlugError {}

impl Slug {
    /// Parses a slug, trimmed and in lower case.
    pub fn parse(text: &str) -> Result<Self, SlugError> {
        let text = text.trim().to_ascii_lowercase();
        if text.is_empty() {
            return Err(SlugError::Empty);
        }
        if !text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return Err(SlugError::Characters);
        }
        if text.starts_with('-') || text.ends_with('-') || text.contains("--") {
            return Err(SlugError::Hyphens);
        }
        match text.len() {
            ..SHORTEST => Err(SlugError::TooShort),
            SHORTEST..=MAX_LEN if RESERVED.contains(&text.as_str()) => Err(SlugError::Reserved),
            SHORTEST..=MAX_LEN => Ok(Self(text)),
            _ => Err(SlugError::TooLong),
        }
    }

    /// The slug that a name suggests: `Café Zürich` gives `cafe-zurich`. There is always one.
    pub fn suggest(name: &str) -> Self {
        let mut text = String::new();
        for c in name.chars().flat_map(char::to_lowercase) {
            match plain(c) {
                Some(letters) => text.push_str(letters),
                None if c.is_ascii_alphanumeric() => text.push(c),
                None if !text.is_empty() && !text.ends_with('-') => text.push('-'),
                None => {}
            }
        }
        text.truncate(MAX_LEN - "-team".len());
        let text = text.trim_matches('-');
        let candidates = [
            text.to_owned(),
            format!("{text}-team"),
            "my-workspace".to_owned(),
        ];
        candidates
            .iter()
            .find_map(|candidate| Self::parse(candidate).ok())
            .unwrap_or_else(|| Self("my-workspace".into()))
    }

    /// The same with a number appended, within the maximum length.
    #[must_use]
    pub fn numbered(&self, n: u32) -> Self {
        self.followed_by(&n.to_string())
    }

    /// The same with eight hexadecimal digits appended, for when all numbers are taken.
    #[must_use]
    pub fn marked(&self, mark: u32) -> Self {
        self.followed_by(&format!("{mark:08x}"))
    }

    fn followed_by(&self, suffix: &str) -> Self {
        let stem = &self.0[..self.0.len().min(MAX_LEN - suffix.len() - 1)];
        Self(format!("{}-{suffix}", stem.trim_end_matches('-')))
    }
}

/// The ASCII letters for an accented one.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ì' | 'í' | 'î' | 'ï' | 'ī' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' => "o",
        'ö' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        '&' => "and",
        '\'' | '’' => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_slug_says_what_is_wrong_with_it() {
        assert_eq!(Slug::parse(" Acme ").unwrap().as_str(), "acme");
        for (text, error) in [
            ("", SlugError::Empty),
            ("ab", SlugError::TooShort),
            ("acme corp", SlugError::Characters),
            ("acmé", SlugError::Characters),
            ("acme_corp", SlugError::Characters),
            ("-acme", SlugError::Hyphens),
            ("acme--corp", SlugError::Hyphens),
            ("settings", SlugError::Reserved),
        ] {
            assert_eq!(Slug::parse(text), Err(error), "{text}");
        }
        assert_eq!(Slug::parse(&"x".repeat(41)), Err(SlugError::TooLong));
    }

    #[test]
    fn names_suggest_slugs() {
        for (name, slug) in [
            ("Acme, Inc.", "acme-inc"),
            ("Café Zürich", "cafe-zuerich"),
            ("Smith & Sons", "smith-and-sons"),
            ("O’Brien's", "obriens"),
            ("HP", "hp-team"),
            ("Settings", "settings-team"),
            ("株式会社", "my-workspace"),
        ] {
            assert_eq!(Slug::suggest(name).as_str(), slug);
        }
    }

    proptest! {
        #[test]
        fn every_suggestion_is_a_slug(name in ".*", n in 2_u32..100_000, mark: u32) {
            let slug = Slug::suggest(&name);
            prop_assert_eq!(Slug::parse(slug.as_str()).unwrap(), slug.clone());
            let numbered = slug.numbered(n);
            prop_assert_eq!(Slug::parse(numbered.as_str()).unwrap(), numbered.clone());
            let marked = slug.marked(mark);
            prop_assert_eq!(Slug::parse(marked.as_str()).unwrap(), marked.clone());
        }

        #[test]
        fn what_parses_is_fit_for_an_address(text in "[ -~]{0,45}") {
            if let Ok(slug) = Slug::parse(&text) {
                prop_assert!(slug.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
            }
        }
    }
}

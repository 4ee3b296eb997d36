//! Email addresses.

use std::fmt;

use super::parsed_text::parsed_text;

/// A deliverable email address: a dot-atom, `@`, and a domain of at least two labels (RFC 5321 without quoted local
/// parts and address literals, which nobody signs up with). Stored in lower case, so that one mailbox is one account.
/// At most 254 bytes, 64 of them before the `@`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "server", derive(sea_orm::DeriveValueType))]
#[cfg_attr(feature = "server", sea_orm(value_type = "String"))]
pub struct Email(String);

parsed_text!(Email, EmailError);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailError {
    Empty,
    TooLong,
    NotAnAddress,
}

impl fmt::Display for EmailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Enter an email address",
            Self::TooLong => "Email must be 254 characters or fewer",
            Self::NotAnAddress => "Enter a valid email address, like name@example.com",
        })
    }
}

impl std::error::Error for EmailError {}

impl Email {
    /// Parses an address, trimmed and in lower case.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim().to_ascii_lowercase();
        if text.is_empty() {
            return Err(EmailError::Empty);
        }
        if text.len() > 254 {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError::NotAnAddress)?;
        let mut labels = domain.split('.');
        let valid = local.len() <= 64
            && local.split('.').all(is_atom)
            && domain.contains('.')
            && labels.clone().all(is_label)
            && labels
                .next_back()
                .is_some_and(|tld| !tld.bytes().all(|b| b.is_ascii_digit()));
        if valid {
            Ok(Self(text))
        } else {
            Err(EmailError::NotAnAddress)
        }
    }

    /// Parses the addresses in a pasted text: separated by commas, semicolons, spaces or line breaks, each bare or as
    /// `Name <address>`. Each appears once, in the order of the text; invalid entries are returned as written. Parsing
    /// stops at the first one beyond `most`, so the caller does not wait for the rest.
    pub fn parse_list(text: &str, most: usize) -> Vec<Result<Self, (String, EmailError)>> {
        let mut found: Vec<Result<Self, (String, EmailError)>> = Vec::new();
        for entry in text.split([',', ';', '\n', '\r']) {
            let entry = entry.trim();
            if entry.is_empty() {
                continue;
            }
            let words: Vec<&str> = match (entry.rfind('<'), entry.ends_with('>')) {
                (Some(open), true) => vec![&entry[open + 1..entry.len() - 1]],
                _ => entry.split_whitespace().collect(),
            };
            for word in words {
                let result = Self::parse(word).map_err(|error| (word.to_owned(), error));
                if !found.contains(&result) {
                    found.push(result);
                }
                if found.len() > most {
                    return found;
                }
            }
        }
        found
    }

    /// Enough to recognize the address, not enough to learn it: `o…@acme.example`.
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or((&self.0, ""));
        format!("{}…@{domain}", local.chars().next().unwrap_or_default())
    }
}

fn is_atom(part: &str) -> bool {
    !part.is_empty()
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
}

fn is_label(part: &str) -> bool {
    (1..=63).contains(&part.len())
        && !part.starts_with('-')
        && !part.ends_with('-')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_addresses_are_kept_in_lower_case() {
        for (text, kept) in [
            (" Olivia@Acme.Example ", "olivia@acme.example"),
            (
                "o.owens+settings@mail.acme.example",
                "o.owens+settings@mail.acme.example",
            ),
            ("x@xn--bcher-kva.example", "x@xn--bcher-kva.example"),
        ] {
            assert_eq!(Email::parse(text).unwrap().as_str(), kept);
        }
    }

    #[test]
    fn bad_addresses_say_why() {
        assert_eq!(Email::parse("  "), Err(EmailError::Empty));
        assert_eq!(
            Email::parse(&format!("a@{}.example", "x".repeat(260))),
            Err(EmailError::TooLong)
        );
        for text in [
            "olivia",
            "@acme.example",
            "olivia@",
            "olivia@acme",
            "o@@acme.example",
            ".o@acme.example",
            "o..o@acme.example",
            "o o@acme.example",
            "o@acme..example",
            "o@-acme.example",
            "o@127.0.0.1",
            "o@acme.example\r\nBcc: x@y.example",
            "olívia@acme.example",
        ] {
            assert_eq!(Email::parse(text), Err(EmailError::NotAnAddress), "{text}");
        }
    }

    #[test]
    fn a_pasted_list_keeps_order_and_says_what_is_wrong() {
        let list = Email::parse_list(
            "Mia Moreno <mia@acme.example>, adam@acme.example; nonsense\nMIA@acme.example x@y.example,",
            50,
        );
        let shown: Vec<String> = list
            .into_iter()
            .map(|entry| {
                entry.map_or_else(|(text, _)| format!("?{text}"), |email| email.to_string())
            })
            .collect();
        assert_eq!(
            shown,
            [
                "mia@acme.example",
                "adam@acme.example",
                "?nonsense",
                "x@y.example"
            ]
        );
    }

    #[test]
    fn a_list_is_read_no_further_than_asked_for() {
        let many: Vec<String> = (0..20_000).map(|n| format!("p{n}@acme.example")).collect();
        assert_eq!(Email::parse_list(&many.join(","), 50).len(), 51);
        let same = "mia@acme.example,".repeat(15_000);
        assert_eq!(Email::parse_list(&same, 50).len(), 1);
    }

    proptest! {
        #[test]
        fn what_parses_parses_again_and_holds_no_control_character(text in "\\PC{0,40}@?\\PC{0,40}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(Email::parse(email.as_str()).unwrap(), email.clone());
                prop_assert!(email.as_str().bytes().all(|b| b.is_ascii_graphic()));
            }
        }

        #[test]
        fn a_list_never_panics(text in ".*") {
            prop_assert!(Email::parse_list(&text, 3).len() <= 4);
        }
    }
}

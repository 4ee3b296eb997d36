//! Makes texts chosen by people and programs safe for email from the operator's domain: one line, without characters
//! that reverse the text, and without anything that an email client would turn into a link. Otherwise a name or title
//! could be used for phishing in our emails.

/// `text` with its URLs written so that no email client links them: `https[:]//evil[.]example`. Email addresses stay.
pub fn plain(text: &str) -> String {
    text.split_inclusive(is_gap).map(word).collect()
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

fn word(word: &str) -> String {
    let shown: String = word
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let scheme = shown.contains("://");
    let lower = shown.to_lowercase();
    let mailto = lower.starts_with("mailto:") || lower.starts_with("tel:");
    // An email address is no link to a site: at most, an email client starts a new message to it.
    let address = shown.contains('@') && !shown.contains('/');
    let mut out = String::with_capacity(shown.len() + 8);
    let letters: Vec<char> = shown.chars().collect();
    for (at, &c) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at));
        let after = letters.get(at + 1);
        match c {
            ':' if scheme || mailto => out.push_str("[:]"),
            '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}'
                if !address && is_inside_host(before, after) =>
            {
                out.push_str("[.]");
            }
            c => out.push(c),
        }
    }
    out
}

/// Whether a dot separates the labels of a host name, and does not end a sentence or belong to a number.
fn is_inside_host(before: Option<&char>, after: Option<&char>) -> bool {
    let label = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    let digits = |c: Option<&char>| c.is_some_and(char::is_ascii_digit);
    label(before) && label(after) && !(digits(before) && digits(after))
}

/// Characters that are invisible or change the direction of text: they hide what a word is.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn nothing_is_left_that_a_mail_program_would_link() {
        for (text, shown) in [
            (
                "Go to https://evil.example/login now",
                "Go to https[:]//evil[.]example/login now",
            ),
            ("HTTP://EVIL.EXAMPLE", "HTTP[:]//EVIL[.]EXAMPLE"),
            ("www.evil.example", "www[.]evil[.]example"),
            ("evil.example/@acme", "evil[.]example/@acme"),
            ("mailto:x@evil.example", "mailto[:]x@evil.example"),
            ("e\u{200b}vil\u{2060}.example", "evil[.]example"),
            ("a\u{202e}b", "ab"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn what_is_no_link_stays_as_it_is() {
        for text in [
            "Adam Archer invited mia@acme.example as a member",
            "Your trial has ended. Choose a plan to continue",
            "Version 2.10 is out: 12 messages sent",
            "New sign-in from Firefox on Linux (192.0.2.7)",
            "山田 太郎",
        ] {
            assert_eq!(plain(text), text);
        }
    }
}

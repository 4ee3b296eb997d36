//! Parts of URLs.

/// The query of a URL with its question mark, or nothing.
pub fn search(query: &str) -> String {
    match query.strip_prefix('?').unwrap_or(query) {
        "" => String::new(),
        query => format!("?{query}"),
    }
}

/// Percent-encodes what a query value cannot contain; the same on client and server.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

//! Tables for spreadsheets.

/// Quotes a field, and keeps a spreadsheet from taking a name for a formula.
pub fn field(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes_and_defuses() {
        assert_eq!(
            field("Ada \"Countess\" Lovelace"),
            "\"Ada \"\"Countess\"\" Lovelace\""
        );
        assert_eq!(field("=HYPERLINK(1)"), "\"'=HYPERLINK(1)\"");
    }
}

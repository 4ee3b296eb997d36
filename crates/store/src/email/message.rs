use domain::escape_html;

use super::plain::plain;

/// Longest subject, in characters.
const MAX_SUBJECT_LEN: usize = 200;

/// An email before it becomes text or HTML: paragraphs, one button and footnotes. Plain enough for every email client.
#[derive(Clone, Debug, Default)]
pub struct EmailMessage {
    subject: String,
    paragraphs: Vec<String>,
    button: Option<(String, String)>,
    footnotes: Vec<String>,
}

impl EmailMessage {
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: plain(&subject.into()),
            ..Self::default()
        }
    }

    /// Adds a paragraph. It may contain names and titles, so nothing in it becomes a link: only the button is one.
    #[must_use]
    pub fn paragraph(mut self, text: impl Into<String>) -> Self {
        self.paragraphs.push(plain(&text.into()));
        self
    }

    #[must_use]
    pub fn button(mut self, label: impl Into<String>, url: impl Into<String>) -> Self {
        self.button = Some((label.into(), url.into()));
        self
    }

    #[must_use]
    pub fn footnote(mut self, text: impl Into<String>) -> Self {
        self.footnotes.push(text.into());
        self
    }

    /// The subject on one line: it contains names that people choose, and a line break would start a new header.
    pub fn subject(&self) -> String {
        self.subject
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_SUBJECT_LEN)
            .collect()
    }

    pub fn text(&self) -> String {
        let mut parts = self.paragraphs.clone();
        if let Some((label, url)) = &self.button {
            parts.push(format!("{label}:\n{url}"));
        }
        if !self.footnotes.is_empty() {
            parts.push(format!("-- \n{}", self.footnotes.join("\n")));
        }
        parts.join("\n\n") + "\n"
    }

    pub fn html(&self) -> String {
        let mut body = String::new();
        for paragraph in &self.paragraphs {
            body += &format!(
                "<p style=\"margin:0 0 16px\">{}</p>\n",
                escape_html(paragraph)
            );
        }
        if let Some((label, url)) = &self.button {
            body += &format!(
                "<p style=\"margin:24px 0\"><a href=\"{}\" style=\"display:inline-block;padding:10px 18px;\
                 border-radius:8px;background:#2f5bd7;color:#ffffff;text-decoration:none;font-weight:600\">{}</a></p>\n",
                escape_html(url),
                escape_html(label)
            );
        }
        for footnote in &self.footnotes {
            body += &format!(
                "<p style=\"margin:16px 0 0;color:#666a73;font-size:13px\">{}</p>\n",
                escape_html(footnote)
            );
        }
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n\
             <body style=\"margin:0;padding:24px;background:#f5f6f8;color:#1c1f26;\
             font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif\">\n\
             <div style=\"max-width:520px;margin:0 auto;padding:28px;border-radius:12px;background:#ffffff\">\n\
             {body}</div></body></html>\n",
            escape_html(&self.subject())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_add_a_header_or_a_tag() {
        let message = EmailMessage::new("Join Evil\r\nBcc: all@acme.example")
            .paragraph("<script>alert(1)</script> & more");
        assert_eq!(message.subject(), "Join Evil  Bcc: all@acme.example");
        assert!(!message.html().contains("<script>"));
        assert!(message.text().contains("<script>alert(1)</script> & more"));
    }
}

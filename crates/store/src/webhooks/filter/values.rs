//! Values of JSON: their kinds, their text and their number, and the beginning of one for an explanation.

use serde_json::{Number, Value};

/// A longer string is not parsed as a number.
const MAX_NUMBER_LEN: usize = 100;
/// How much of a value an explanation shows, in characters, and how much of it is serialized for that, in bytes.
const SHOWN: usize = 60;
const WRITTEN: usize = 4 * SHOWN + 4;

pub(super) fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

/// A value as it is compared: a string without quotation marks.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) const fn word(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// The beginning of a value. No more of a long value is serialized.
pub(super) fn show(value: &Value) -> String {
    let written = match value {
        Value::String(text) => text.chars().take(SHOWN + 1).collect(),
        other => {
            let mut start = Start(Vec::new());
            // It ends with an error when enough was written.
            let _ = serde_json::to_writer(&mut start, other);
            String::from_utf8_lossy(&start.0).into_owned()
        }
    };
    if written.chars().count() > SHOWN {
        let start: String = written.chars().take(SHOWN).collect();
        format!("“{start}…”")
    } else {
        format!("“{written}”")
    }
}

/// Accepts the first bytes that are written, then refuses.
struct Start(Vec<u8>);

impl std::io::Write for Start {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = WRITTEN.saturating_sub(self.0.len());
        if room == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        let taken = bytes.len().min(room);
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Number::as_f64(number),
        Value::String(text) if text.len() <= MAX_NUMBER_LEN => {
            text.trim().parse().ok().filter(|n: &f64| n.is_finite())
        }
        _ => None,
    }
}

//! Finds numbers in JSON that cannot be stored exactly. A number is parsed as a 64-bit integer or as a double (IEEE 754) and
//! serialized with the fewest digits that identify it: `0.1` comes back unchanged, but `0.10000000000000000001` and an
//! integer of 30 digits would not. Such numbers are refused instead of rounded (RFC 8259, section 6, leaves the precision
//! to each program).

/// The path of the first number in a well-formed JSON text that cannot be stored exactly.
pub fn first_inexact(json: &[u8]) -> Option<String> {
    let mut path: Vec<Step<'_>> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' => path.push(Step::Field(None)),
            b'[' => path.push(Step::Item(0)),
            b'}' | b']' => {
                path.pop();
            }
            b',' => match path.last_mut() {
                Some(Step::Item(index)) => *index += 1,
                Some(Step::Field(name)) => *name = None,
                None => {}
            },
            b'"' => {
                at = end_of_string(json, at);
                if let Some(Step::Field(name @ None)) = path.last_mut() {
                    *name = json.get(start..at);
                }
            }
            b'-' | b'0'..=b'9' => {
                while json.get(at).copied().is_some_and(continues_number) {
                    at += 1;
                }
                let number = json.get(start..at).and_then(|n| str::from_utf8(n).ok());
                if !number.is_some_and(is_exact) {
                    return Some(written(&path));
                }
            }
            _ => {}
        }
    }
    None
}

/// A step on the way to a value.
enum Step<'a> {
    /// Into an object, with the name of the field in quotation marks once it was parsed.
    Field(Option<&'a [u8]>),
    /// Into a list.
    Item(usize),
}

/// A path as error messages show it: `data.totals[2]`.
fn written(path: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Item(index) => text.push_str(&format!("[{index}]")),
            Step::Field(name) => {
                let name = name.and_then(|name| serde_json::from_slice::<String>(name).ok());
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&name.unwrap_or_default());
            }
        }
    }
    if text.is_empty() {
        "body".to_owned()
    } else {
        text
    }
}

/// The position after the closing quotation mark of a string.
fn end_of_string(json: &[u8], mut at: usize) -> usize {
    while let Some(byte) = json.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    at
}

fn continues_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')
}

fn is_exact(number: &str) -> bool {
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    let double = number.parse::<f64>().ok().filter(|n| n.is_finite());
    double.is_some_and(|double| {
        let sent = Decimal::read(number);
        sent.is_some() && sent == Decimal::read(&format!("{double:e}"))
    })
}

/// A number by its digits: the same for every notation.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    /// Without leading and trailing zeros.
    digits: String,
    /// The power of ten to multiply them by.
    exponent: i64,
}

impl Decimal {
    fn read(number: &str) -> Option<Self> {
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let unsigned = mantissa.strip_prefix('-');
        let (whole, fraction) = unsigned
            .unwrap_or(mantissa)
            .split_once('.')
            .unwrap_or((unsigned.unwrap_or(mantissa), ""));
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        let significant = digits.trim_end_matches('0');
        if significant.is_empty() {
            return Some(Self {
                negative: false,
                digits: String::new(),
                exponent: 0,
            });
        }
        let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
        let fraction = i64::try_from(fraction.len()).ok()?;
        Some(Self {
            negative: unsigned.is_some(),
            digits: significant.to_owned(),
            exponent: exponent
                .parse::<i64>()
                .ok()?
                .checked_sub(fraction)?
                .checked_add(zeros)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_comes_back_is_kept_and_what_would_be_rounded_is_refused() {
        for kept in [
            "0",
            "-0",
            "-0.0",
            "1.10",
            "1E2",
            "0.18014483044379326",
            "9223372036854775807",
            "18446744073709551615",
            "-9223372036854775808",
            "1e22",
            "1.7976931348623157e308",
            "5e-324",
            "0.1e-5",
            "100000000000000000000000",
        ] {
            assert!(is_exact(kept), "{kept}");
        }
        for refused in [
            "18446744073709551616",
            "-9223372036854775809",
            "123456789012345678901234567890",
            "0.1000000000000000055511151231257827",
            "9007199254740993.0",
            "1e-400",
            "1e400",
            "1e99999999999999999999",
        ] {
            assert!(!is_exact(refused), "{refused}");
        }
    }

    #[test]
    fn the_place_of_a_number_is_named() {
        for (json, place) in [
            (r#"{"type": "x", "data": {"limit": 1e-400}}"#, "data.limit"),
            (
                r#"{"data": {"a\"b": [1, {"c": [0, 1e-400]}]}}"#,
                r#"data.a"b[1].c[1]"#,
            ),
            (r#"{"text": "1e-400", "a": {"b": 2}, "c": 1e-400}"#, "c"),
            ("[[], 1e-400]", "[1]"),
            ("1e-400", "body"),
        ] {
            assert_eq!(
                first_inexact(json.as_bytes()).as_deref(),
                Some(place),
                "{json}"
            );
        }
        assert_eq!(
            first_inexact(br#"{"1e-400": "\\", "b": [1, 2.5, -3]}"#),
            None
        );
    }

    proptest! {
        #[test]
        fn every_double_is_kept(bits: u64) {
            let double = f64::from_bits(bits);
            prop_assume!(double.is_finite());
            let text = serde_json::to_string(&double).unwrap();
            prop_assert!(is_exact(&text), "{text}");
            let back: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(back.to_string(), text);
        }

        #[test]
        fn every_integer_of_64_bits_is_kept(whole: i64, positive: u64) {
            prop_assert!(is_exact(&whole.to_string()) && is_exact(&positive.to_string()));
        }

        #[test]
        fn what_is_kept_comes_back_as_the_same_number(number in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?") {
            if is_exact(&number) {
                let back: serde_json::Value = serde_json::from_str(&number).unwrap();
                prop_assert_eq!(Decimal::read(&back.to_string()), Decimal::read(&number));
            }
        }
    }
}

//! Money.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount in US cents; on the wire and in the database a whole number of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "ssr", derive(sea_orm::DeriveValueType))]
pub struct Money(i64);

impl Money {
    pub const fn from_cents(cents: i64) -> Self {
        Self(cents)
    }

    pub const fn cents(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Money {
    /// `$29`, `$29.50`, `$1,299`, `−$5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.0.unsigned_abs();
        let digits = (cents / 100).to_string();
        let mut whole = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                whole.push(',');
            }
            whole.push(digit);
        }
        let sign = if self.0 < 0 { "−" } else { "" };
        match cents % 100 {
            0 => write!(f, "{sign}${whole}"),
            rest => write!(f, "{sign}${whole}.{rest:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_a_price() {
        for (cents, text) in [
            (2900, "$29"),
            (2950, "$29.50"),
            (129_900, "$1,299"),
            (5, "$0.05"),
            (-500, "−$5"),
            (0, "$0"),
        ] {
            assert_eq!(Money::from_cents(cents).to_string(), text);
        }
    }
}

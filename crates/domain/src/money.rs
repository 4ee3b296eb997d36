//! Money.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount in US cents; on the wire and in the database it is an integer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
#[cfg_attr(feature = "server", derive(sea_orm::DeriveValueType))]
pub struct Money(i64);

impl Money {
    pub const fn from_cents(cents: i64) -> Self {
        Self(cents)
    }

    pub const fn cents(self) -> i64 {
        self.0
    }
}

impl std::ops::Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number with thousands separators: `1,000`, `−1,000`.
pub fn grouped(count: i64) -> String {
    let sign = if count < 0 { "−" } else { "" };
    format!("{sign}{}", thousands(count.unsigned_abs()))
}

impl fmt::Display for Money {
    /// `$29`, `$29.50`, `$1,299`, `−$5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.0.unsigned_abs();
        let whole = thousands(cents / 100);
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
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_price_reads_back_to_the_cent(cents in -1_000_000_000_000_i64..1_000_000_000_000) {
            let text = Money::from_cents(cents).to_string();
            let (sign, amount) = match text.strip_prefix("−$") {
                Some(amount) => (-1, amount),
                None => (1, text.strip_prefix('$').unwrap()),
            };
            let (whole, rest) = amount.split_once('.').unwrap_or((amount, "00"));
            prop_assert!(rest.len() == 2 && whole.rsplit(',').skip(1).all(|group| group.len() <= 3));
            let whole: i64 = whole.replace(',', "").parse().unwrap();
            prop_assert_eq!(sign * (whole * 100 + rest.parse::<i64>().unwrap()), cents);
        }

        #[test]
        fn money_travels_as_its_cents(cents: i64) {
            let json = serde_json::to_string(&Money::from_cents(cents)).unwrap();
            prop_assert_eq!(&json, &cents.to_string());
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), Money::from_cents(cents));
        }
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (-1_234_567, "−1,234,567"),
        ] {
            assert_eq!(grouped(count), text);
        }
    }

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

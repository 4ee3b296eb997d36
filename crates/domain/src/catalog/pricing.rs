//! What the operator sells: plans, packages of credits, and what each feature costs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Money, days};

/// Everything that is for sale here, and by which rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    pub trial_days: u32,
    /// The id of the plan that a workspace may use while on trial.
    pub trial_plan: String,
    pub invitation_days: u32,
    pub plans: Vec<Plan>,
    pub cdr_mode: CdrMode,
    pub packages: Vec<CreditPackage>,
    pub features: Vec<Feature>,
    /// Who sells it, as invoices say.
    pub seller: Option<Seller>,
}

/// Who sells. Empty: not said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seller {
    pub name: String,
    #[serde(default)]
    pub address: String,
    #[serde(default)]
    pub vat_number: String,
    #[serde(default)]
    pub email: String,
}

/// What a workspace subscribes to, by the month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub id: String,
    pub name: String,
    pub price: Money,
    pub seats: u32,
    /// Granted anew each month.
    pub credits: u32,
    pub linkedin_accounts: u32,
    /// Whether CDR Mode can be added to it.
    pub cdr_mode: bool,
}

/// An option of the subscription, by the month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CdrMode {
    pub name: String,
    pub price: Money,
}

/// Credits that are bought once and do not expire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditPackage {
    pub credits: u32,
    pub price: Money,
}

/// Something of the product that costs credits each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    pub id: String,
    pub name: String,
    /// What it costs once.
    pub credits: u32,
}

impl CreditPackage {
    /// How much less a credit costs than in `first`, rounded to a whole percent; nothing where that is none.
    pub fn discount(&self, first: &Self) -> Option<u32> {
        // Cross-multiplied, so that nothing is rounded before the end: what these credits would cost at the first
        // package's price, and what they do cost, both times that package's credits.
        let full = i128::from(self.credits) * i128::from(first.price.cents());
        let real = i128::from(first.credits) * i128::from(self.price.cents());
        if full <= 0 || real > full {
            return None;
        }
        let percent = (200 * (full - real) + full) / (2 * full);
        u32::try_from(percent).ok().filter(|percent| *percent > 0)
    }
}

impl Catalog {
    /// The packages, each with its discount against the first.
    pub fn packages(&self) -> impl Iterator<Item = (&CreditPackage, Option<u32>)> {
        let first = self.packages.first();
        self.packages
            .iter()
            .map(move |package| (package, first.and_then(|first| package.discount(first))))
    }

    /// How long an invitation can be accepted.
    pub fn invitation_life(&self) -> Duration {
        days(self.invitation_days.into())
    }

    pub fn plan(&self, id: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.id == id)
    }

    /// The package that holds so many credits.
    pub fn package(&self, credits: u32) -> Option<&CreditPackage> {
        self.packages
            .iter()
            .find(|package| package.credits == credits)
    }

    pub fn feature(&self, id: &str) -> Option<&Feature> {
        self.features.iter().find(|feature| feature.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn package(credits: u32, cents: i64) -> CreditPackage {
        CreditPackage {
            credits,
            price: Money::from_cents(cents),
        }
    }

    #[test]
    fn the_discounts_of_the_customers_table() {
        let first = package(1000, 2900);
        assert_eq!(first.discount(&first), None);
        assert_eq!(package(3000, 7900).discount(&first), Some(9));
        assert_eq!(package(5000, 11900).discount(&first), Some(18));
        assert_eq!(package(500, 2900).discount(&first), None, "dearer");
    }

    proptest! {
        #[test]
        fn a_discount_is_the_nearest_whole_percent(
            credits in 1_u32..1_000_000, cents in 1_u32..10_000_000, more in 1_u32..1_000_000, price in 1_u32..10_000_000,
        ) {
            let exact = 100.0 * (1.0 - (f64::from(price) / f64::from(more)) / (f64::from(cents) / f64::from(credits)));
            let told = package(more, price.into()).discount(&package(credits, cents.into()));
            match told {
                Some(percent) => prop_assert!((f64::from(percent) - exact).abs() <= 0.5 + 1e-6, "{percent} for {exact}"),
                None => prop_assert!(exact < 0.5 + 1e-6, "none for {exact}"),
            }
        }

        #[test]
        fn the_same_price_for_a_credit_is_no_discount(credits in 1_u32..10_000, cents in 1_i64..100_000, times in 1_u32..50) {
            let first = package(credits, cents);
            prop_assert_eq!(package(credits * times, cents * i64::from(times)).discount(&first), None);
        }
    }
}

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Plan, string_enum};
use crate::{Money, Timestamp, days};

pub use crate::catalog::Seller;

/// How long before the end of a trial each reminder is sent, first to last.
pub const REMINDERS: [Duration; 2] = [days(3), days(1)];
/// The waits before each retry of a declined renewal. If the last retry is declined, the workspace is frozen.
pub const RETRIES: [Duration; 3] = [days(1), days(2), days(2)];

/// Smaller amounts are not charged: providers do not accept them
/// (docs.stripe.com/currencies#minimum-and-maximum-charge-amounts).
pub const SMALLEST_CHARGE: Money = Money::from_cents(50);

string_enum! {
    /// The status of a subscription.
    SubscriptionStatus {
        /// Everything can be used, and nothing is paid yet.
        Trial = "trial",
        Active = "active",
        /// The renewal was declined and is retried.
        PastDue = "past_due",
        /// The trial is over or a payment failed: only billing can be changed.
        Frozen = "frozen",
    }
}

/// The entitlements of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entitlements {
    /// The plan's id, which the catalog may no longer contain.
    pub plan_id: Option<String>,
    pub plan: Option<Plan>,
    pub status: SubscriptionStatus,
    pub frozen: bool,
    pub cdr_mode: bool,
    pub ends_at: Timestamp,
}

/// The billing details for a workspace's invoices. Empty: not given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    pub company: String,
    pub address: String,
    pub vat_number: String,
    /// The email address for messages about invoices.
    pub email: String,
}

/// The subscribed plan and options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The plan's id.
    pub plan: String,
    pub cdr_mode: bool,
}

impl Terms {
    /// The monthly price. `None` if the catalog has no such plan, or not with CDR Mode.
    pub fn price(&self, catalog: &Catalog) -> Option<Money> {
        let plan = catalog.plan(&self.plan)?;
        match self.cdr_mode {
            false => Some(plan.price),
            true if plan.cdr_mode => Some(plan.price + catalog.cdr_mode.price),
            true => None,
        }
    }

    /// `Scale with CDR Mode`.
    pub fn name(&self, catalog: &Catalog) -> String {
        let plan = plan_name(catalog, &self.plan);
        if self.cdr_mode {
            format!("{plan} with {}", catalog.cdr_mode.name)
        } else {
            plan
        }
    }
}

/// The plan's name, or its id if the catalog no longer contains it.
pub fn plan_name(catalog: &Catalog, id: &str) -> String {
    catalog
        .plan(id)
        .map_or_else(|| id.to_owned(), |plan| plan.name.clone())
}

/// The charge for a month of this price with this balance, and the part of the balance it uses: credit is deducted, and
/// debt is added.
pub fn charge_for(price: Money, balance: Money) -> (Money, Money) {
    let used = balance.min(price);
    let amount = price - used;
    if amount >= SMALLEST_CHARGE {
        (amount, used)
    } else {
        // An amount too small to charge is waived, but debt is not.
        (Money::default(), used.max(Money::default()))
    }
}

/// The description of a charge, which mentions a debt that it includes.
pub fn with_owed(what: String, balance: Money) -> String {
    let owed = Money::default() - balance;
    if owed > Money::default() {
        format!("{what}, plus {owed} previously owed")
    } else {
        what
    }
}

/// The share `left` / `whole` of `amount`, rounded to the nearest; half is rounded up.
pub fn part(amount: i64, left: Duration, whole: Duration) -> i64 {
    let whole = i128::try_from(whole.as_millis())
        .unwrap_or(i128::MAX)
        .max(1);
    let left = i128::try_from(left.as_millis())
        .unwrap_or(i128::MAX)
        .min(whole);
    let part = (2 * i128::from(amount) * left + whole).div_euclid(2 * whole);
    i64::try_from(part).unwrap_or(amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_month_costs_the_plan_and_what_is_added() {
        let catalog = Catalog::built_in();
        let price = |plan: &str, cdr_mode| {
            let plan = plan.to_owned();
            let terms = Terms { plan, cdr_mode };
            (
                terms.price(&catalog).map(|price| price.to_string()),
                terms.name(&catalog),
            )
        };
        let told = |price: &str, name: &str| (Some(price.to_owned()), name.to_owned());
        assert_eq!(price("light", false), told("$49", "Light"));
        assert_eq!(price("scale", true), told("$398", "Scale with CDR Mode"));
        assert_eq!(price("light", true).0, None, "not on offer");
        assert_eq!(price("giant", false), (None, "giant".to_owned()));
    }

    #[test]
    fn a_month_is_charged_less_what_is_paid_ahead_and_with_what_is_owed() {
        let charged = |price, balance| {
            let (amount, used) = charge_for(Money::from_cents(price), Money::from_cents(balance));
            (amount.cents(), used.cents())
        };
        assert_eq!(charged(4900, 0), (4900, 0));
        assert_eq!(charged(4900, 300), (4600, 300));
        assert_eq!(charged(4900, 15000), (0, 4900));
        assert_eq!(charged(4900, -4900), (9800, -4900));
        assert_eq!(charged(4900, 4880), (0, 4880), "too little to be charged");
        assert_eq!(charged(0, -30), (0, 0), "it stays owed");
        let what = |balance| with_owed("Light".to_owned(), Money::from_cents(balance));
        assert_eq!(
            (what(100), what(0)),
            ("Light".to_owned(), "Light".to_owned())
        );
        assert_eq!(what(-4900), "Light, plus $49 previously owed");
    }

    proptest! {
        #[test]
        fn a_part_is_the_nearest_cent_and_never_more_than_the_whole(
            amount in 0_i64..10_000_000, left in 0_u64..3_000_000_000, whole in 1_u64..3_000_000_000,
        ) {
            let share = part(amount, Duration::from_millis(left), Duration::from_millis(whole));
            prop_assert!((0..=amount).contains(&share));
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let exact = amount as f64 * (left.min(whole) as f64) / whole as f64;
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let off = (share as f64 - exact).abs();
            prop_assert!(off <= 0.5 + 1e-6, "{share} for {exact}");
        }
    }
}

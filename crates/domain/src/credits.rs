use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::{CreditPackage, Feature, string_enum};
use crate::payments::PaymentView;
use crate::{
    CreditEntryId, FieldErrors, Money, Timestamp, WorkspaceId, days, grouped, hours, minutes,
};

/// How often one call uses a feature at most.
pub const MAX_AT_ONCE: u32 = 10_000;
/// Longest reference, in characters.
pub const MAX_REFERENCE_LEN: usize = 200;
/// How long credits stay set aside unless told, and at most.
pub const HOLD_LIFE: Duration = minutes(15);
pub const MAX_HOLD: Duration = hours(24);
/// Credits run low when less than one part in so many is left of what the plan gave.
pub const LOW_PART: i64 = 10;

string_enum! {
    /// What a line of the ledger says.
    EntryKind {
        /// The plan's credits came in.
        Grant = "grant",
        Purchase = "purchase",
        Spend = "spend",
        Refund = "refund",
        Expiry = "expiry",
        /// Set aside.
        Hold = "hold",
        /// No longer set aside; what was captured follows as a spend.
        Release = "release",
    }
}

impl EntryKind {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Grant => "Granted",
            Self::Purchase => "Purchased",
            Self::Spend => "Spent",
            Self::Refund => "Refunded",
            Self::Expiry => "Expired",
            Self::Hold => "Reserved",
            Self::Release => "Released",
        }
    }
}

string_enum! {
    /// Where credits come from.
    GrantKind {
        /// They expire when the plan's next come.
        Plan = "plan",
        /// They do not expire.
        Purchased = "purchased",
    }
}

string_enum! {
    /// What became of credits that were set aside.
    HoldStatus {
        Held = "held",
        Captured = "captured",
        Released = "released",
        Expired = "expired",
    }
}

/// How many lines of the ledger the page shows at once.
pub const PAGE: u64 = 25;
/// How many days the chart shows, and how many tell how long the balance lasts.
pub const CHART_DAYS: i64 = 30;
pub const PACE_DAYS: i64 = 14;
/// How many features the page names when it says what the balance buys.
pub const BUYS: usize = 3;

/// The page of a workspace's credits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditsView {
    pub workspace: WorkspaceId,
    pub may_buy: bool,
    /// The payment from which one comes back.
    pub payment: Option<PaymentView>,
    pub plan: i64,
    pub purchased: i64,
    pub renews_at: Option<Timestamp>,
    /// Whether they renew then; not on trial, and not where the subscription ends.
    pub renews: bool,
    /// The low-balance threshold: the one set here, and the default.
    pub low_balance_threshold: Option<i64>,
    pub default_low_balance_threshold: i64,
    pub top_up: TopUpView,
    /// How long the balance lasts at the recent pace; none where nothing was used.
    pub lasts: Option<Lasts>,
    /// How many uses of the most-used features it covers.
    pub buys: Vec<String>,
    pub features: Vec<Feature>,
    pub packages: Vec<(CreditPackage, Option<u32>)>,
    /// The last days, oldest first.
    pub days: Vec<Day>,
    /// Of which kind the lines are; nothing for all.
    pub kind: Option<EntryKind>,
    pub entries: Vec<EntryRow>,
    pub next: Option<CreditEntryId>,
}

impl CreditsView {
    pub fn balance(&self) -> i64 {
        self.plan + self.purchased
    }
}

/// Which package is to be bought, by how many credits it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BuyForm {
    pub workspace: String,
    pub credits: String,
}

/// What is bought automatically when few credits are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopUp {
    /// The package, by how many credits it holds.
    pub credits: u32,
    /// What may be charged in a calendar month, in UTC.
    pub limit: Money,
}

/// Automatic top-up as it is set up, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopUpView {
    /// Nothing: it is off.
    pub now: Option<TopUp>,
    /// Whether there is a subscription whose card can be charged.
    pub possible: bool,
    /// What was charged this month.
    pub charged: Money,
    /// Whether the last charge was declined.
    pub paused: bool,
    pub under_way: bool,
}

/// How automatic top-up is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TopUpForm {
    pub workspace: String,
    /// Empty: off.
    pub package: String,
    /// Dollars.
    pub limit: String,
}

/// Highest monthly limit, in dollars.
const HIGHEST_LIMIT: i64 = 1_000_000;

impl TopUpForm {
    /// Nothing where it is to be off.
    pub fn parse(&self) -> Result<Option<TopUp>, FieldErrors> {
        if self.package.is_empty() {
            return Ok(None);
        }
        let mut errors = FieldErrors::new();
        let credits = self.package.parse().ok();
        if credits.is_none() {
            errors.add("package", "Choose a package");
        }
        let digits: String = self
            .limit
            .chars()
            .filter(|c| !matches!(c, ',' | ' ' | '$'))
            .collect();
        let dollars = digits.parse::<i64>().ok();
        let dollars = dollars.filter(|dollars| (1..=HIGHEST_LIMIT).contains(dollars));
        if dollars.is_none() {
            errors.add("limit", "Enter a whole dollar amount, like 100");
        }
        match (credits, dollars) {
            (Some(credits), Some(dollars)) => Ok(Some(TopUp {
                credits,
                limit: Money::from_cents(dollars * 100),
            })),
            _ => Err(errors),
        }
    }
}

/// From which balance on people are to be warned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LowBalanceThresholdForm {
    pub workspace: String,
    pub low_balance_threshold: String,
}

/// Highest threshold, above any balance.
const MAX_THRESHOLD: i64 = 1_000_000_000;

impl LowBalanceThresholdForm {
    /// Nothing where it is left to the plan.
    pub fn parse(&self) -> Result<Option<i64>, FieldErrors> {
        let text: String = self
            .low_balance_threshold
            .chars()
            .filter(|c| !matches!(c, ',' | ' '))
            .collect();
        if text.is_empty() {
            return Ok(None);
        }
        let mark = text
            .parse()
            .ok()
            .filter(|mark| (0..=MAX_THRESHOLD).contains(mark));
        mark.map(Some).ok_or_else(|| {
            let mut errors = FieldErrors::new();
            errors.add("low_balance_threshold", "Enter a whole number");
            errors
        })
    }
}

/// Until when the balance lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lasts {
    Until(Timestamp),
    MoreThanAYear,
}

/// What was used on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    pub at: Timestamp,
    pub credits: i64,
}

/// A line of the ledger, as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EntryRow {
    pub id: CreditEntryId,
    pub kind: EntryKind,
    /// What for: a feature and how often, a plan.
    pub what: String,
    pub reference: Option<String>,
    pub amount: i64,
    pub balance: i64,
    pub who: String,
    pub at: Timestamp,
}

/// `480 Suggest Replies`: how many uses of a feature that is.
pub fn times(count: i64, name: &str) -> String {
    let number = grouped(count);
    // Names that are not nouns, or have no plural, stay as they are.
    if count == 1 || name.ends_with('s') {
        return format!("{number} {name}");
    }
    if name.contains('&') || name.ends_with(|c: char| c.is_uppercase()) {
        return format!("{number} × {name}");
    }
    match name.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{number} {stem}ies"),
        _ => format!("{number} {name}s"),
    }
}

/// How long a balance lasts when so much was used in the last [`PACE_DAYS`] days.
pub fn lasts(balance: i64, used: i64, now: Timestamp) -> Option<Lasts> {
    if used <= 0 || balance <= 0 {
        return None;
    }
    let left = u64::try_from(balance * PACE_DAYS / used).unwrap_or(u64::MAX);
    Some(if left > 365 {
        Lasts::MoreThanAYear
    } else {
        Lasts::Until(now.after(days(left)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_balance_buys_reads_as_a_person_says_it() {
        for (count, name, text) in [
            (480, "Suggest Reply", "480 Suggest Replies"),
            (1000, "Quick Answer", "1,000 Quick Answers"),
            (1, "Quick Answer", "1 Quick Answer"),
            (12, "Analyze & Suggest", "12 × Analyze & Suggest"),
            (12, "General AI", "12 × General AI"),
            (12, "Contact Insights", "12 Contact Insights"),
            (12, "Relay", "12 Relays"),
        ] {
            assert_eq!(times(count, name), text);
        }
    }

    #[test]
    fn a_mark_is_a_whole_number_or_nothing() {
        for (typed, mark) in [
            ("", Ok(None)),
            (" ", Ok(None)),
            ("0", Ok(Some(0))),
            ("1,500", Ok(Some(1500))),
            ("-1", Err(())),
            ("12.5", Err(())),
            ("soon", Err(())),
            ("1000000001", Err(())),
            ("99999999999999999999", Err(())),
        ] {
            let form = LowBalanceThresholdForm {
                low_balance_threshold: typed.to_owned(),
                ..LowBalanceThresholdForm::default()
            };
            assert_eq!(form.parse().map_err(|_| ()), mark, "{typed}");
        }
    }

    #[test]
    fn a_balance_lasts_as_long_as_the_pace_says() {
        let now = Timestamp::from_millis(1_764_000_000_000);
        assert_eq!(lasts(100, 0, now), None);
        assert_eq!(lasts(0, 10, now), None);
        // 280 in 14 days is 20 a day.
        assert_eq!(lasts(100, 280, now), Some(Lasts::Until(now.after(days(5)))));
        assert_eq!(lasts(100_000, 280, now), Some(Lasts::MoreThanAYear));
    }
}

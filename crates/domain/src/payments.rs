use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::string_enum;
use crate::subscriptions::Terms;
use crate::{Money, PaymentId, Timestamp, days, grouped, minutes};

/// ISO 4217, in the form that providers use.
pub const CURRENCY: &str = "usd";

/// How long a payment page of the provider stays valid.
pub const CHECKOUT_LIFE: Duration = days(1);
/// When the provider is first asked for the status of a payment without an event.
pub const FIRST_LOOK: Duration = minutes(1);
/// A payment that the provider does not know after this time was never started there.
pub const UNKNOWN_AFTER: Duration = days(2);

string_enum! {
    /// The status of a payment.
    PaymentStatus {
        /// Stored; the provider may or may not know it.
        Started = "started",
        /// A payment page exists.
        Open = "open",
        /// The buyer has paid, but the bank has not confirmed.
        Confirming = "confirming",
        Paid = "paid",
        Declined = "declined",
        /// Nobody paid in time.
        Expired = "expired",
    }
}

string_enum! {
    /// How the money of a payment was returned.
    ReversalKind {
        Refund = "refund",
        /// The total of all refunds, some of which may also be recorded individually.
        Total = "total",
        Dispute = "dispute",
    }
}

string_enum! {
    /// The status of a refund or a dispute. It moves only forward in this order, so that late events change nothing.
    ReversalStatus {
        /// The bank inquires, but has taken no money yet.
        Inquiry = "inquiry",
        /// The money is returned.
        Standing = "standing",
        /// The refund failed, or the dispute was decided in our favor: the money is back.
        Undone = "undone",
    }
}

impl ReversalStatus {
    /// The status of a refund. Money on its way back counts as returned.
    pub fn refund(undone: bool) -> Self {
        if undone { Self::Undone } else { Self::Standing }
    }
}

string_enum! {
    /// The status of a payment at the simulated provider.
    CheckoutStatus {
        Open = "open",
        Confirming = "confirming",
        Paid = "paid",
        Declined = "declined",
        Expired = "expired",
    }
}

string_enum! {
    /// The choices on the simulated provider's page.
    Choice {
        Pay = "pay",
        /// The bank confirms only after a while.
        Confirm = "confirm",
        Decline = "decline",
    }
}

/// The purpose of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentPurpose {
    Credits {
        credits: u32,
    },
    /// Credits bought automatically because few were left.
    TopUp {
        credits: u32,
    },
    /// The first month of a plan.
    Subscribe {
        terms: Terms,
        /// The part of the balance it includes. A negative value means that debt is paid too.
        #[serde(default)]
        balance: Money,
        what: String,
    },
    /// Better terms for the rest of the month that ends at this time.
    Change {
        terms: Terms,
        ends_at: Timestamp,
        what: String,
    },
    /// The month that starts at this time.
    Renewal {
        terms: Terms,
        ends_at: Timestamp,
        /// The part of the balance deducted from it. A negative value means that debt is paid too.
        #[serde(default)]
        balance: Money,
        what: String,
    },
}

impl PaymentPurpose {
    /// The description on an invoice.
    pub fn describe(&self) -> String {
        match self {
            Self::Credits { credits } => format!("{} credits", grouped((*credits).into())),
            Self::TopUp { credits } => {
                format!("{} credits (auto top-up)", grouped((*credits).into()))
            }
            Self::Subscribe { what, .. }
            | Self::Change { what, .. }
            | Self::Renewal { what, .. } => what.clone(),
        }
    }

    /// Whether the provider keeps the card, so that it can be charged again automatically.
    pub fn keeps_card(&self) -> bool {
        matches!(self, Self::Subscribe { .. })
    }
}

/// A payment, as shown on the page that the user returns to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    pub id: PaymentId,
    pub status: PaymentStatus,
    pub what: String,
    pub amount: Money,
}

impl PaymentView {
    /// Its result, in one or two sentences.
    pub fn sentence(&self) -> String {
        let Self { what, amount, .. } = self;
        match self.status {
            PaymentStatus::Started | PaymentStatus::Open => {
                format!("Your {amount} payment for {what} isn't complete yet.")
            }
            PaymentStatus::Confirming => format!(
                "Your bank is confirming your {amount} payment for {what}. You can leave this page; it takes effect when \
                 the payment clears."
            ),
            PaymentStatus::Paid => {
                format!("Your {amount} payment for {what} went through. Thank you.")
            }
            PaymentStatus::Declined => {
                format!("Your {amount} payment for {what} was declined. You weren't charged.")
            }
            PaymentStatus::Expired => {
                format!("Your {amount} payment for {what} expired. You weren't charged.")
            }
        }
    }
}

/// The simulated provider's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutView {
    pub id: String,
    pub amount: Money,
    pub description: String,
    pub status: CheckoutStatus,
    pub return_path: String,
}

/// The choice made on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChoiceForm {
    pub checkout: String,
    pub choice: String,
}

/// The simulated provider's page for the card on file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardView {
    pub token: String,
    /// Whether a charge of the card succeeds. `None` without a card.
    pub works: Option<bool>,
    pub return_path: String,
}

/// The card to charge from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CardForm {
    pub card: String,
    pub works: String,
}

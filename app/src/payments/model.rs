use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::billing::model::Terms;
use crate::catalog::string_enum;
use crate::domain::{Money, PaymentId, Timestamp, days, grouped, minutes};

/// ISO 4217, as providers write it.
pub const CURRENCY: &str = "usd";

/// How long one can pay on a page of the provider.
pub const CHECKOUT_LIFE: Duration = days(1);
/// When the provider is asked for the first time what became of a payment of which it told nothing.
pub const FIRST_LOOK: Duration = minutes(1);
/// A payment of which the provider knows nothing after so long was never begun there.
pub const UNKNOWN_AFTER: Duration = days(2);

string_enum! {
    /// What became of a payment.
    PaymentStatus {
        /// Written down; the provider may know of it or not.
        Started = "started",
        /// There is a page to pay it on.
        Open = "open",
        /// The buyer has done their part, the bank has not.
        Confirming = "confirming",
        Paid = "paid",
        Declined = "declined",
        /// Nobody paid in time.
        Expired = "expired",
    }
}

string_enum! {
    /// How the money of a payment went back.
    ReversalKind {
        Refund = "refund",
        /// So much in all by refunds, some of which may be known one by one too.
        Total = "total",
        Dispute = "dispute",
    }
}

string_enum! {
    /// Where a refund or a dispute stands. It goes on in this order and never back, so that what is told late changes
    /// nothing.
    ReversalStatus {
        /// The bank asks, and has taken nothing yet.
        Inquiry = "inquiry",
        /// The money is gone.
        Standing = "standing",
        /// The refund failed, or the dispute was decided in our favor: the money is here again.
        Undone = "undone",
    }
}

string_enum! {
    /// What the simulated provider knows of a payment.
    CheckoutStatus {
        Open = "open",
        Confirming = "confirming",
        Paid = "paid",
        Declined = "declined",
        Expired = "expired",
    }
}

string_enum! {
    /// What one can do on the simulated provider's page.
    Choice {
        Pay = "pay",
        /// The bank makes up its mind only after a while.
        Confirm = "confirm",
        Decline = "decline",
    }
}

/// What a payment is for.
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
        /// What of the balance goes with it: below nothing, what was owed is paid too.
        #[serde(default)]
        balance: Money,
        what: String,
    },
    /// The rest of the month that ends then, on better terms.
    Change {
        terms: Terms,
        ends_at: Timestamp,
        what: String,
    },
    /// The month that begins then.
    Renewal {
        terms: Terms,
        ends_at: Timestamp,
        /// What of the balance was taken off it; below nothing, what was owed is paid too.
        #[serde(default)]
        balance: Money,
        what: String,
    },
}

impl PaymentPurpose {
    /// As a line of an invoice.
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

/// What was pressed on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChoiceForm {
    pub checkout: String,
    pub choice: String,
}

/// The simulated provider's page of a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardView {
    pub token: String,
    /// Whether a charge of it goes through; nothing where there is none.
    pub works: Option<bool>,
    pub return_path: String,
}

/// Which card is to be charged from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CardForm {
    pub card: String,
    pub works: String,
}

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::named;
use crate::domain::{Money, PaymentId, days, grouped, minutes};

/// ISO 4217, as providers write it.
pub const CURRENCY: &str = "usd";

/// How long one can pay on a page of the provider.
pub const CHECKOUT_LIFE: Duration = days(1);
/// When the provider is asked for the first time what became of a payment of which it told nothing.
pub const FIRST_LOOK: Duration = minutes(1);
/// A payment of which the provider knows nothing after so long was never begun there.
pub const UNKNOWN_AFTER: Duration = days(2);

named! {
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

named! {
    /// What the simulated provider knows of a payment.
    CheckoutStatus {
        Open = "open",
        Confirming = "confirming",
        Paid = "paid",
        Declined = "declined",
        Expired = "expired",
    }
}

named! {
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
pub enum Purpose {
    Credits { credits: u32 },
}

impl Purpose {
    /// As a line of an invoice says it.
    pub fn describe(&self) -> String {
        match self {
            Self::Credits { credits } => format!("{} credits", grouped((*credits).into())),
        }
    }
}

/// A payment, as the page to which one comes back shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    pub id: PaymentId,
    pub status: PaymentStatus,
    pub what: String,
    pub amount: Money,
}

impl PaymentView {
    /// What became of it, in a sentence or two.
    pub fn sentence(&self) -> String {
        let Self { what, amount, .. } = self;
        match self.status {
            PaymentStatus::Started | PaymentStatus::Open => {
                format!("The payment of {amount} for {what} is not made yet.")
            }
            PaymentStatus::Confirming => format!(
                "The bank is confirming the payment of {amount}. You get the {what} as soon as it has; there is no \
                 need to wait here."
            ),
            PaymentStatus::Paid => {
                format!("The payment of {amount} went through, and the {what} are yours.")
            }
            PaymentStatus::Declined => {
                format!("The payment of {amount} for {what} was declined. Nothing was charged.")
            }
            PaymentStatus::Expired => format!(
                "The payment of {amount} for {what} was not made in time. Nothing was charged."
            ),
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

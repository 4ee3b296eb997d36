//! Stripe's objects, with the fields that Wheelhouse reads, and what they say about a payment.

use domain::payments::PaymentStatus;
use domain::{Money, PaymentId};
use serde::Deserialize;
use store::payments::provider::PaymentOutcome;

#[derive(Debug, Deserialize)]
pub(super) struct Customer {
    pub(super) id: String,
    /// By somebody on Stripe's own pages.
    #[serde(default)]
    pub(super) deleted: bool,
    #[serde(default)]
    pub(super) invoice_settings: InvoiceSettings,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct InvoiceSettings {
    pub(super) default_payment_method: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    /// `None` once it can no longer be paid.
    pub(super) url: Option<String>,
    pub(super) status: Option<String>,
    pub(super) payment_status: Option<String>,
    pub(super) amount_total: Option<i64>,
    pub(super) client_reference_id: Option<String>,
    pub(super) payment_intent: Option<PaymentIntent>,
}

#[derive(Debug, Deserialize)]
#[serde(from = "AsIdOrWhole")]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount_received: Option<i64>,
    pub(super) payment_method: Option<String>,
    pub(super) metadata: Metadata,
}

/// Only the ID, if its expansion was not requested.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum AsIdOrWhole {
    Id(String),
    Whole {
        id: String,
        status: String,
        amount_received: Option<i64>,
        payment_method: Option<String>,
        #[serde(default)]
        metadata: Metadata,
    },
}

impl From<AsIdOrWhole> for PaymentIntent {
    fn from(intent: AsIdOrWhole) -> Self {
        match intent {
            AsIdOrWhole::Id(id) => Self {
                id,
                status: String::new(),
                amount_received: None,
                payment_method: None,
                metadata: Metadata::default(),
            },
            AsIdOrWhole::Whole {
                id,
                status,
                amount_received,
                payment_method,
                metadata,
            } => Self {
                id,
                status,
                amount_received,
                payment_method,
                metadata,
            },
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    /// The payment for which a saved card was charged.
    pub(super) charge: Option<String>,
    /// The payment that was made on a page.
    pub(super) payment: Option<String>,
}

impl Metadata {
    /// Our payment ID, as sent to Stripe with the request.
    pub(super) fn ours(&self) -> Option<PaymentId> {
        let named = self.charge.as_ref().or(self.payment.as_ref())?;
        named.parse().ok()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct PaymentMethod {
    pub(super) id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Portal {
    pub(super) url: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Charge {
    #[serde(default)]
    pub(super) amount_refunded: i64,
    pub(super) payment_intent: Option<PaymentIntent>,
    #[serde(default)]
    pub(super) metadata: Metadata,
}

/// docs.stripe.com/api/refunds/object
#[derive(Debug, Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) status: Option<String>,
    /// Seconds since the Unix epoch.
    pub(super) created: Option<i64>,
    pub(super) charge: Charge,
}

#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) has_more: bool,
}

/// An item of a list, with the ID to request the next page.
pub(super) trait Listed {
    fn id(&self) -> &str;
}

impl Listed for Session {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for PaymentIntent {
    fn id(&self) -> &str {
        &self.id
    }
}

impl PaymentIntent {
    /// docs.stripe.com/payments/paymentintents/lifecycle
    pub(super) fn fate(&self) -> PaymentOutcome {
        let status = match self.status.as_str() {
            "succeeded" => PaymentStatus::Paid,
            "processing" => PaymentStatus::Confirming,
            "canceled" => PaymentStatus::Expired,
            // The buyer is not present to authenticate with the bank.
            _ => PaymentStatus::Declined,
        };
        let charged = self.amount_received.map(Money::from_cents);
        PaymentOutcome {
            status,
            charged: charged.filter(|_| status == PaymentStatus::Paid),
        }
    }
}

impl Session {
    pub(super) fn fate(&self) -> PaymentOutcome {
        let status = match (self.status.as_deref(), self.payment_status.as_deref()) {
            (_, Some("paid")) => PaymentStatus::Paid,
            (Some("expired"), _) => PaymentStatus::Expired,
            (Some("complete"), _) => match &self.payment_intent {
                // The buyer has done their part, and the bank declined.
                Some(intent) if intent.status == "requires_payment_method" => {
                    PaymentStatus::Declined
                }
                _ => PaymentStatus::Confirming,
            },
            _ => PaymentStatus::Open,
        };
        let charged = self.amount_total.map(Money::from_cents);
        PaymentOutcome {
            status,
            charged: charged.filter(|_| status == PaymentStatus::Paid),
        }
    }
}

//! An event, and what it reports about one of our payments: an outcome, or money that was returned or came back.

use domain::payments::{CURRENCY, PaymentStatus, ReversalKind, ReversalStatus};
use domain::{Money, PaymentId, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::payments::provider::{PaymentOutcome, Reference, Reversal};

/// The used parts of an event. The object has many kinds and is parsed as far as it is known.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Seconds since the Unix epoch.
    created: Option<i64>,
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    object: Value,
}

/// What an event reports about one of our payments.
#[derive(Clone, Debug)]
pub(super) enum ProviderEvent {
    Outcome(PaymentOutcome),
    /// Its money was returned, or came back.
    Reversed(Vec<Reversal>),
}

/// The payment that the event concerns.
#[derive(Clone, Debug)]
pub(super) enum PaymentRef {
    Ours(PaymentId),
    /// By the provider's own IDs.
    Theirs(Reference),
}

fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

fn cents(object: &Value, name: &str) -> Option<Money> {
    object.get(name)?.as_i64().map(Money::from_cents)
}

/// The provider's ID of a nested object, which is given as the ID alone or as the whole object.
fn name_of(object: &Value, name: &str) -> Option<String> {
    let found = object.get(name)?;
    let id = found.as_str().or_else(|| text(found, "id"))?;
    Some(id.to_owned())
}

/// Our payment ID in the provider's object, stored there by the request: `payment` for a page, and `charge` for a
/// charge of the saved card.
fn named(object: &Value, name: &str) -> Option<PaymentId> {
    text(object.get("metadata")?, name)?.parse().ok()
}

impl Event {
    fn at(&self) -> Timestamp {
        self.created.map_or_else(Timestamp::now, second)
    }

    /// The payment outcome in this event. A page lets the buyer try several cards, so the result of a single attempt
    /// matters only for charges of the saved card.
    pub(super) fn news(&self) -> Option<(PaymentRef, ProviderEvent)> {
        let object = &self.data.object;
        let page = || text(object, "client_reference_id")?.parse().ok();
        let charge = || named(object, "charge");
        let (of, status) = match (self.kind.as_str(), text(object, "payment_status")) {
            ("checkout.session.completed", Some("paid"))
            | ("checkout.session.async_payment_succeeded", _) => (page(), PaymentStatus::Paid),
            ("checkout.session.completed", _) => (page(), PaymentStatus::Confirming),
            ("checkout.session.async_payment_failed", _) => (page(), PaymentStatus::Declined),
            ("checkout.session.expired", _) => (page(), PaymentStatus::Expired),
            ("payment_intent.succeeded", _) => (charge(), PaymentStatus::Paid),
            ("payment_intent.processing", _) => (charge(), PaymentStatus::Confirming),
            ("payment_intent.payment_failed", _) => (charge(), PaymentStatus::Declined),
            ("payment_intent.canceled", _) => (charge(), PaymentStatus::Expired),
            _ => {
                let told = self.reversals()?;
                return self
                    .is_in_our_currency()
                    .then(|| (self.whose(), ProviderEvent::Reversed(told)));
            }
        };
        if !self.is_in_our_currency() {
            return None;
        }
        let charged = cents(object, "amount_total").or_else(|| cents(object, "amount_received"));
        // A failed charge received nothing, which is not a mismatch with the requested amount.
        let charged = charged.filter(|_| status == PaymentStatus::Paid);
        Some((
            PaymentRef::Ours(of?),
            ProviderEvent::Outcome(PaymentOutcome { status, charged }),
        ))
    }

    fn is_in_our_currency(&self) -> bool {
        let other = text(&self.data.object, "currency").is_some_and(|code| code != CURRENCY);
        if other {
            tracing::error!(
                event = self.id,
                "a payment in another currency than is asked for"
            );
        }
        !other
    }

    /// The refunds and disputes in this event. The provider sends many other events that do not concern us.
    fn reversals(&self) -> Option<Vec<Reversal>> {
        let object = &self.data.object;
        match self.kind.as_str() {
            "charge.refunded" => {
                let total = Reversal {
                    id: self.id.clone(),
                    kind: ReversalKind::Total,
                    status: ReversalStatus::Standing,
                    amount: cents(object, "amount_refunded")?,
                    begun_at: self.at(),
                    reported_at: self.at(),
                };
                // Older versions of the provider's API also list each refund.
                let single = object.pointer("/refunds/data").and_then(Value::as_array);
                let single = single.into_iter().flatten();
                let single = single.filter_map(|refund| self.refund(refund, false));
                Some(single.chain([total]).collect())
            }
            "refund.created" | "refund.updated" | "charge.refund.updated" => {
                Some(vec![self.refund(object, false)?])
            }
            "refund.failed" => Some(vec![self.refund(object, true)?]),
            "charge.dispute.created"
            | "charge.dispute.updated"
            | "charge.dispute.closed"
            | "charge.dispute.funds_withdrawn"
            | "charge.dispute.funds_reinstated" => Some(vec![self.dispute()?]),
            _ => None,
        }
    }

    /// docs.stripe.com/api/refunds/object
    fn refund(&self, object: &Value, failed: bool) -> Option<Reversal> {
        let undone = failed || matches!(text(object, "status"), Some("failed" | "canceled"));
        self.single(object, ReversalKind::Refund, ReversalStatus::refund(undone))
    }

    /// docs.stripe.com/api/disputes/object
    fn dispute(&self) -> Option<Reversal> {
        let object = &self.data.object;
        let status = match (
            self.kind.as_str(),
            text(object, "status").unwrap_or_default(),
        ) {
            ("charge.dispute.funds_reinstated", _) | (_, "won") => ReversalStatus::Undone,
            ("charge.dispute.funds_withdrawn", _) => ReversalStatus::Standing,
            (_, "prevented") => ReversalStatus::Inquiry,
            (_, status) if status.starts_with("warning_") => ReversalStatus::Inquiry,
            _ => ReversalStatus::Standing,
        };
        self.single(object, ReversalKind::Dispute, status)
    }

    fn single(
        &self,
        object: &Value,
        kind: ReversalKind,
        status: ReversalStatus,
    ) -> Option<Reversal> {
        let begun = object.get("created").and_then(Value::as_i64);
        Some(Reversal {
            id: text(object, "id")?.to_owned(),
            kind,
            status,
            amount: cents(object, "amount")?.max(Money::default()),
            begun_at: begun.map_or_else(|| self.at(), second),
            reported_at: self.at(),
        })
    }

    /// The payment of a charge, refund or dispute.
    fn whose(&self) -> PaymentRef {
        let object = &self.data.object;
        let ours = [
            Some(object),
            object.get("payment_intent"),
            object.get("charge"),
        ];
        let ours = ours.into_iter().flatten();
        let mut ours =
            ours.filter_map(|one| named(one, "charge").or_else(|| named(one, "payment")));
        if let Some(payment) = ours.next() {
            return PaymentRef::Ours(payment);
        }
        let of_charge = || name_of(object.get("charge")?, "payment_intent");
        PaymentRef::Theirs(Reference {
            intent: name_of(object, "payment_intent").or_else(of_charge),
            charge: match text(object, "object") {
                Some("charge") => text(object, "id").map(str::to_owned),
                _ => name_of(object, "charge"),
            },
        })
    }

    /// Our payment ID and the provider's ID, if the event contains both.
    pub(super) fn introduction(&self) -> Option<(PaymentId, String)> {
        let object = &self.data.object;
        let ours = || named(object, "charge").or_else(|| named(object, "payment"));
        if self.kind.starts_with("checkout.session.") {
            let payment = text(object, "client_reference_id")?.parse().ok()?;
            Some((payment, name_of(object, "payment_intent")?))
        } else if self.kind.starts_with("payment_intent.") {
            Some((ours()?, text(object, "id")?.to_owned()))
        } else if self.kind.starts_with("charge.") {
            Some((ours()?, name_of(object, "payment_intent")?))
        } else {
            None
        }
    }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_millis(second.saturating_mul(1000))
}

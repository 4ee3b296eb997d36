//! The provider's events, signed in Stripe's format (docs.stripe.com/webhooks#verify-manually): the header contains
//! `t=` the second and `v1=` the HMAC-SHA256 over `t.body` in hex. Each event is applied once, in any order, and a
//! repeated event changes nothing.

use std::fmt::Write as _;
use std::time::Duration;

use domain::payments::{CURRENCY, PaymentStatus, ReversalKind, ReversalStatus};
use domain::{AppError, Money, PaymentId, Secret, Timestamp, days, minutes};
use hmac::{Hmac, KeyInit, Mac};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::context::AppContext;
use crate::db::entity::{self, payment_event, payment_reversal};
use crate::payments::provider::{PaymentOutcome, Reference, Reversal};
use crate::settlement::reversals;
use crate::{payments, settlement};

/// An event with an older signature may be a replay.
const TOLERANCE: Duration = minutes(5);
/// How long received events are kept: longer than any provider repeats them.
const MEMORY: Duration = days(90);

/// The used parts of an event. The object has many kinds and is parsed as far as it is known.
#[derive(Debug, Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
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
enum ProviderEvent {
    Outcome(PaymentOutcome),
    /// Its money was returned, or came back.
    Reversed(Vec<Reversal>),
}

/// The payment that the event concerns.
#[derive(Clone, Debug)]
enum PaymentRef {
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

/// The signature header for a body sent at `second` since the Unix epoch.
pub fn sign(secret: &Secret, second: i64, body: &[u8]) -> String {
    format!("t={second},v1={}", tag(secret, second, body))
}

fn tag(secret: &Secret, second: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(format!("{second}.").as_bytes());
    mac.update(body);
    let mut text = String::new();
    for byte in mac.finalize().into_bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether the header is a recent, valid signature of this body. While secrets change, it has several signatures.
fn is_signed(secret: &Secret, header: &str, body: &[u8], now: Timestamp) -> bool {
    let parts = |name: &'static str| {
        let all = header
            .split(',')
            .filter_map(|part| part.trim().split_once('='));
        all.filter_map(move |(key, value)| (key == name).then_some(value))
    };
    let Some(second) = parts("t").next().and_then(|text| text.parse::<i64>().ok()) else {
        return false;
    };
    let signed_at = Timestamp::from_millis(second.saturating_mul(1000));
    if now.since(signed_at) > TOLERANCE || signed_at.since(now) > TOLERANCE {
        return false;
    }
    let right = tag(secret, second, body);
    parts("v1").any(|tag| tag.as_bytes().ct_eq(right.as_bytes()).into())
}

impl Event {
    fn at(&self) -> Timestamp {
        self.created.map_or_else(Timestamp::now, second)
    }

    /// The payment outcome in this event. A page lets the buyer try several cards, so the result of a single attempt
    /// matters only for charges of the saved card.
    fn news(&self) -> Option<(PaymentRef, ProviderEvent)> {
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
    fn introduction(&self) -> Option<(PaymentId, String)> {
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

/// Finds our payment for the provider's IDs: as stored from an earlier event, or else from the provider.
async fn find(
    ctx: &AppContext,
    told: &ProviderEvent,
    whose: PaymentRef,
) -> Result<Option<PaymentId>, AppError> {
    let reference = match whose {
        PaymentRef::Ours(payment) => return Ok(Some(payment)),
        PaymentRef::Theirs(reference) => reference,
    };
    if let ProviderEvent::Reversed(told) = told {
        let ids = told.iter().map(|one| one.id.as_str());
        let known = entity::PaymentReversal::find()
            .filter(payment_reversal::Column::Id.is_in(ids))
            .one(ctx.db().read())
            .await?;
        if let Some(known) = known {
            return Ok(Some(known.payment_id));
        }
    }
    if let Some(intent) = &reference.intent
        && let Some(payment) = payments::by_intent(ctx.db(), intent).await?
    {
        return Ok(Some(payment));
    }
    let payment = ctx
        .payments()
        .whose(ctx.provider_context(), &reference)
        .await?;
    if payment.is_none() {
        tracing::warn!(
            ?reference,
            "the provider tells of money that went back for no payment of ours"
        );
    }
    Ok(payment)
}

/// Handles an event. An invalid signature is refused. A repeated event succeeds without effect.
pub async fn handle_event(ctx: &AppContext, header: &str, body: &[u8]) -> Result<(), AppError> {
    let secret = ctx.payments().signing_secret();
    if !is_signed(&secret, header, body, Timestamp::now()) {
        return Err(AppError::Malformed);
    }
    let event: Event = serde_json::from_slice(body).map_err(|_| AppError::Malformed)?;
    let news = match event.news() {
        // If the provider is asked and does not respond, it sends the event again later.
        Some((whose, news)) => find(ctx, &news, whose).await?.zip(Some(news)),
        None => None,
    };
    let introduction = event.introduction();
    let mut tx = ctx.db().begin().await?;
    let row = payment_event::ActiveModel {
        id: Set(event.id),
        event_type: Set(event.kind),
        payment_id: Set(news.as_ref().map(|(payment, _)| *payment)),
        received_at: Set(Timestamp::now()),
    };
    let told_first = entity::PaymentEvent::insert(row)
        .on_conflict(
            OnConflict::column(payment_event::Column::Id)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(&tx)
        .await?;
    if told_first == 1 {
        if let Some((payment, news)) = news {
            match news {
                ProviderEvent::Outcome(fate) => {
                    let now = Timestamp::now();
                    settlement::settle(&mut tx, ctx.catalog(), payment, fate, now).await?;
                }
                ProviderEvent::Reversed(told) => {
                    reversals::apply(&mut tx, payment, &told).await?;
                }
            }
        }
        if let Some((payment, intent)) = introduction {
            payments::remember_intent(&tx, payment, &intent).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Deletes old events.
pub async fn sweep(ctx: &AppContext) -> Result<u64, AppError> {
    let tx = ctx.db().begin().await?;
    let gone = entity::PaymentEvent::delete_many()
        .filter(payment_event::Column::ReceivedAt.lt(Timestamp::now().before(MEMORY)))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(gone.rows_affected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_secret_body_and_minutes() {
        let (secret, body) = (Secret::from("whsec_test"), br#"{"id":"evt_1"}"#.as_slice());
        let second = 1_764_000_000;
        let now = Timestamp::from_millis(second * 1000);
        let header = sign(&secret, second, body);
        assert!(is_signed(&secret, &header, body, now));
        assert!(is_signed(&secret, &header, body, now.after(TOLERANCE)));
        assert!(
            !is_signed(&secret, &header, body, now.after(minutes(6))),
            "too old"
        );
        assert!(
            !is_signed(&secret, &header, body, now.before(minutes(6))),
            "from the future"
        );
        let other = Secret::from("whsec_other");
        assert!(!is_signed(&other, &header, body, now));
        assert!(!is_signed(&secret, &header, b"{}", now));
        let both = format!(
            "{},v1={}",
            sign(&other, second, body),
            tag(&secret, second, body)
        );
        assert!(is_signed(&secret, &both, body, now), "one of two");
        for header in ["", "t=1764000000", "v1=00", "t=x,v1=00", "t=1764000000,v1="] {
            assert!(!is_signed(&secret, header, body, now), "{header}");
        }
    }
}

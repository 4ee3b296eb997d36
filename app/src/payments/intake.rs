//! What the provider tells: events, signed as Stripe signs them (docs.stripe.com/webhooks#verify-manually): the header
//! holds `t=` the second and `v1=` the HMAC-SHA256 over `t.body` in hex. Each is applied once, in whatever order they
//! come, and telling it again changes nothing.

use std::fmt::Write as _;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};
use serde::Deserialize;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::model::{CURRENCY, PaymentStatus};
use super::port::Fate;
use super::store;
use crate::db::entity::{self, payment_event};
use crate::domain::{AppError, Money, PaymentId, Secret, Timestamp, days, minutes};
use crate::house::House;

/// An event that was signed longer ago may be one that somebody kept and sends again.
const TOLERANCE: Duration = minutes(5);
/// How long it is remembered what was told: longer than any provider goes on telling.
const MEMORY: Duration = days(90);

/// What an event says that is of use here.
#[derive(Debug, Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    object: Object,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    client_reference_id: Option<String>,
    payment_status: Option<String>,
    amount_total: Option<i64>,
    amount_received: Option<i64>,
    amount_refunded: Option<i64>,
    currency: Option<String>,
    metadata: Metadata,
}

/// What was said of the payment when the provider was asked for it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    /// The payment that is made on a page.
    payment: Option<String>,
    /// The payment for which a kept card is charged.
    charge: Option<String>,
}

/// What an event says of a payment of ours.
#[derive(Clone, Copy, Debug)]
enum News {
    Fate(Fate),
    /// How much of it was paid back in all.
    PaidBack(Money),
}

/// The header for a body that is sent at `second` since the Unix epoch.
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

/// Whether the header is the provider's for this body, and not too old. During a change of secrets it holds several.
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
    /// What it says of a payment of ours. On a page several cards can be tried before one is taken: what becomes of the
    /// single try is of interest only where a kept card was charged.
    fn news(&self) -> Option<(PaymentId, News)> {
        let object = &self.data.object;
        let Metadata { payment, charge } = &object.metadata;
        let (of, status) = match (self.kind.as_str(), object.payment_status.as_deref()) {
            ("checkout.session.completed", Some("paid"))
            | ("checkout.session.async_payment_succeeded", _) => {
                (&object.client_reference_id, PaymentStatus::Paid)
            }
            ("checkout.session.completed", _) => {
                (&object.client_reference_id, PaymentStatus::Confirming)
            }
            ("checkout.session.async_payment_failed", _) => {
                (&object.client_reference_id, PaymentStatus::Declined)
            }
            ("checkout.session.expired", _) => {
                (&object.client_reference_id, PaymentStatus::Expired)
            }
            ("payment_intent.succeeded", _) => (charge, PaymentStatus::Paid),
            ("payment_intent.processing", _) => (charge, PaymentStatus::Confirming),
            ("payment_intent.payment_failed", _) => (charge, PaymentStatus::Declined),
            ("payment_intent.canceled", _) => (charge, PaymentStatus::Expired),
            ("charge.refunded", _) => {
                let of = charge.as_ref().or(payment.as_ref())?.parse().ok()?;
                let amount = Money::from_cents(object.amount_refunded?);
                return Some((of, News::PaidBack(amount)));
            }
            // The provider tells of much that does not concern us.
            _ => return None,
        };
        if object
            .currency
            .as_deref()
            .is_some_and(|code| code != CURRENCY)
        {
            tracing::error!(
                event = self.id,
                "a payment in another currency than is asked for"
            );
            return None;
        }
        let payment = of.as_deref()?.parse().ok()?;
        let charged = object.amount_total.or(object.amount_received);
        // A charge that failed has received nothing, which is no other amount than was asked for.
        let charged = charged.filter(|_| status == PaymentStatus::Paid);
        let charged = charged.map(Money::from_cents);
        Some((payment, News::Fate(Fate { status, charged })))
    }
}

/// Takes in an event. What is not signed as it should be is refused; what was told before is well.
pub async fn take_in(house: &House, header: &str, body: &[u8]) -> Result<(), AppError> {
    let secret = house.payments().signing_secret(house);
    if !is_signed(&secret, header, body, Timestamp::now()) {
        return Err(AppError::Malformed);
    }
    let event: Event = serde_json::from_slice(body).map_err(|_| AppError::Malformed)?;
    let news = event.news();
    let mut tx = house.db().begin().await?;
    let row = payment_event::ActiveModel {
        id: Set(event.id),
        event_type: Set(event.kind),
        payment_id: Set(news.map(|(payment, _)| payment)),
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
    if told_first == 1
        && let Some((payment, news)) = news
    {
        match news {
            News::Fate(fate) => {
                let now = Timestamp::now();
                store::settle(&mut tx, house.catalog(), payment, fate, now).await?;
            }
            News::PaidBack(amount) => store::paid_back(&mut tx, payment, amount).await?,
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Forgets what was told long ago.
pub async fn sweep(house: &House) -> Result<u64, AppError> {
    let tx = house.db().begin().await?;
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

//! The provider's events, signed in Stripe's format (docs.stripe.com/webhooks#verify-manually): the header contains
//! `t=` the second and `v1=` the HMAC-SHA256 over `t.body` in hex. Each event is applied once, in any order, and a
//! repeated event changes nothing.

mod event;
mod signature;

pub use signature::sign;

use std::time::Duration;

use domain::{AppError, PaymentId, Timestamp, days};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};

use self::event::{Event, PaymentRef, ProviderEvent};
use self::signature::is_signed;
use crate::context::AppContext;
use crate::db::entity::{self, payment_event, payment_reversal};
use crate::settlement::reversals;
use crate::{payments, settlement};

/// How long received events are kept: longer than any provider repeats them.
const MEMORY: Duration = days(90);

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

//! Chooses a plan.

use domain::billing::Effect;
use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::payments::{PaymentPurpose, PaymentStatus};
use domain::subscriptions::{SMALLEST_CHARGE, Terms, with_owed};
use domain::{AppError, Money, Timestamp};
use serde_json::json;

use super::decision::{Decision, decide};
use super::row::{locked, no_payment_under_way};
use super::subscriptions;
use crate::auth::{Permit, Sensitive, can};
use crate::context::AppContext;
use crate::events::Origin;
use crate::payments::{self, NewPayment};
use crate::settlement;

/// The outcome of a choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// Pay at this URL.
    Pay(String),
    Done(FormSuccess),
}

/// Chooses a plan. `agreed` is the preview's charge for today; the actual charge never exceeds it. The user returns
/// from the provider's page to `page`.
pub async fn choose(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    terms: Terms,
    agreed: Money,
    page: &str,
    now: Timestamp,
) -> Result<Chosen, AppError> {
    actor.person().require_fresh(Sensitive::Buy)?;
    let catalog = ctx.catalog();
    let mut tx = ctx.db().begin().await?;
    let mut row = locked(&tx, actor).await?;
    let Decision {
        effect,
        today,
        balance,
        ..
    } = decide(catalog, &row, &terms, now)?;
    if today > agreed {
        return Err(AppError::Conflict(
            "The price has changed. Review it and try again.".to_owned(),
        ));
    }
    let name = terms.name(catalog);
    let at = row.ends_at.date();
    let note =
        |why: &str| json!({"from": row.plan, "to": terms.plan, "name": name, "why": why, "at": at});
    match effect {
        Effect::Begin => {
            drop(tx);
            let what = with_owed(format!("{name}, 1 month"), balance);
            let purpose = PaymentPurpose::Subscribe {
                terms,
                balance,
                what,
            };
            let place = settlement::begin(ctx, actor, &purpose, today, page).await?;
            return Ok(Chosen::Pay(place));
        }
        Effect::Now => {
            no_payment_under_way(&row)?;
            if today >= SMALLEST_CHARGE {
                let what = format!("{name} (prorated)");
                let ends_at = row.ends_at;
                let purpose = PaymentPurpose::Change {
                    terms,
                    ends_at,
                    what,
                };
                let new = NewPayment::by(actor, &purpose, today);
                let id = payments::insert_payment(&tx, &new).await?;
                row.payment_id = Some(id);
                subscriptions::save(&tx, row).await?;
                tx.commit().await?;
                let status = settlement::charge(ctx, &new.order(id), now).await?;
                return charged(status, &name).map(Chosen::Done);
            }
            let once = format!("change {}", now.millis());
            let origin = Origin::from(actor);
            subscriptions::apply(&mut tx, catalog, row, &terms, &origin, (&once, now)).await?;
            tx.commit().await?;
            return Ok(Chosen::Done(FormSuccess::with_message(format!(
                "You're now on {name}"
            ))));
        }
        Effect::Later | Effect::Keep => {}
    }
    let turns_off =
        row.plan.as_deref() == Some(terms.plan.as_str()) && row.cdr_mode && !terms.cdr_mode;
    let (why, said) = if effect == Effect::Later && turns_off {
        let option = &catalog.cdr_mode.name;
        ("later", format!("{option} turns off on {at}"))
    } else if effect == Effect::Later {
        ("later", format!("{name} starts on {at}"))
    } else {
        ("kept", format!("You'll stay on {name}"))
    };
    let data = note(why);
    row.set_next(Some(terms).filter(|_| effect == Effect::Later));
    row.cancelled = false;
    row.freezes_at = None;
    subscriptions::save(&tx, row).await?;
    let what = EventType::BillingPlanChanged;
    subscriptions::record_event(&mut tx, actor.workspace(), actor.into(), what, data).await?;
    tx.commit().await?;
    Ok(Chosen::Done(FormSuccess::with_message(said)))
}

fn charged(status: PaymentStatus, name: &str) -> Result<FormSuccess, AppError> {
    match status {
        PaymentStatus::Paid => Ok(FormSuccess::with_message(format!("You're now on {name}"))),
        PaymentStatus::Declined | PaymentStatus::Expired => Err(AppError::Conflict(
            "Your card was declined. Update your payment method and try again.".to_owned(),
        )),
        PaymentStatus::Started | PaymentStatus::Open | PaymentStatus::Confirming => {
            Ok(FormSuccess::with_message(
                "Waiting for your bank. Your plan changes once the payment is confirmed.",
            ))
        }
    }
}

//! The result of choosing a plan: what is charged, and when the plan starts.

use domain::billing::Effect;
use domain::catalog::Catalog;
use domain::subscriptions::{SMALLEST_CHARGE, SubscriptionStatus, Terms, charge_for, part};
use domain::{AppError, Money, Timestamp, days};

use crate::db::entity::subscription::Model as Subscription;

/// The result of a choice.
pub(super) struct Decision {
    pub(super) effect: Effect,
    pub(super) today: Money,
    /// The part of the balance in today's charge: zero, or negative if there is debt.
    pub(super) balance: Money,
    /// The monthly price from then on.
    pub(super) next: Money,
    /// The first monthly charge after that, with the balance at that time.
    pub(super) next_charge: Money,
    pub(super) next_at: Timestamp,
    pub(super) days_added: u64,
}

/// The result of choosing these terms now. Both the preview and the choice use it.
pub(super) fn decide(
    catalog: &Catalog,
    row: &Subscription,
    terms: &Terms,
    now: Timestamp,
) -> Result<Decision, AppError> {
    let plan = catalog
        .plan(&terms.plan)
        .ok_or_else(|| AppError::field("plan", "Choose a plan"))?;
    let price = terms.price(catalog).ok_or_else(|| {
        let message = format!("{} isn't available on {}", catalog.cdr_mode.name, plan.name);
        AppError::field("cdr_mode", message)
    })?;
    if !row.is_running(now) {
        let trial = row.status == SubscriptionStatus::Trial;
        let start = if trial { row.ends_at.max(now) } else { now };
        // Debt is paid with the first charge. Credit is kept for later months.
        let owed = row.balance.min(Money::default());
        return Ok(Decision {
            effect: Effect::Begin,
            today: price - owed,
            balance: owed,
            next: price,
            next_charge: charge_for(price, row.balance - owed).0,
            next_at: start.months_after(1),
            days_added: start.since(now).as_secs() / days(1).as_secs(),
        });
    }
    let current = row.terms();
    let (left, whole) = (row.ends_at.since(now), row.ends_at.since(row.begins_at));
    let cost = current.as_ref().and_then(|current| current.price(catalog));
    let (effect, today) = match cost {
        _ if current.as_ref() == Some(terms) => (Effect::Keep, 0),
        // If the catalog no longer has the current terms, their price is unknown and the change takes effect later.
        Some(cost) if price > cost => {
            (Effect::Now, part(price.cents() - cost.cents(), left, whole))
        }
        Some(_) | None => (Effect::Later, 0),
    };
    let today = Some(Money::from_cents(today)).filter(|today| *today >= SMALLEST_CHARGE);
    Ok(Decision {
        effect,
        today: today.unwrap_or(Money::from_cents(0)),
        balance: Money::default(),
        next: price,
        next_charge: charge_for(price, row.balance).0,
        next_at: row.ends_at,
        days_added: 0,
    })
}

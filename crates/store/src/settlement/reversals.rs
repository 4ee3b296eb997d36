//! Returned money: refunds and disputes. Each is stored as the provider reports it, by the provider's ID. The stored
//! rows alone, in any order and however often reported, determine how much of a payment was returned. Granted credits
//! are taken back in that proportion, or granted again if the money comes back.

use std::cmp::Ordering;

use domain::catalog::EventType;
use domain::payments::{PaymentPurpose, PaymentStatus, ReversalKind, ReversalStatus};
use domain::{AppError, Money, PaymentId, Topic};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
};
use serde_json::json;

use crate::billing::subscriptions;
use crate::credits;
use crate::db::Tx;
use crate::db::entity::payment_reversal::{Column, Model as Row};
use crate::db::entity::{self, payment};
use crate::events::{self, NewEvent, Origin};
use crate::live::Invalidation;
use crate::payments::provider::Reversal;
use crate::payments::purpose;

impl payment::Model {
    /// The returned amount.
    pub fn reversed(&self) -> Money {
        self.refunded + self.disputed
    }
}

/// Stores reversals and applies them. Returns how much of the payment is refunded now. Repeated and late reports change
/// nothing.
pub async fn apply(tx: &mut Tx, id: PaymentId, told: &[Reversal]) -> Result<Money, AppError> {
    let found = entity::Payment::find_by_id(id).lock_exclusive();
    let Some(payment) = found.one(tx).await? else {
        tracing::warn!(payment = %id, "the provider tells of a payment that is not ours");
        return Ok(Money::default());
    };
    for one in told {
        insert_reversal(tx, id, one).await?;
    }
    let kept = entity::PaymentReversal::find().filter(Column::PaymentId.eq(id));
    let (refunded, disputed) = sums(&kept.all(tx).await?, payment.amount);
    if (refunded, disputed) == (payment.refunded, payment.disputed) {
        return Ok(refunded);
    }
    entity::Payment::update_many()
        .col_expr(payment::Column::Refunded, Expr::value(refunded))
        .col_expr(payment::Column::Disputed, Expr::value(disputed))
        .filter(payment::Column::Id.eq(id))
        .exec(tx)
        .await?;
    let there = entity::Workspace::find_by_id(payment.workspace_id);
    if there.one(tx).await?.is_none() {
        return Ok(refunded);
    }
    let (before, after) = (payment.reversed(), refunded + disputed);
    let taken = if payment.status == PaymentStatus::Paid {
        take_back(tx, &payment, before, after).await?
    } else {
        // A payment that is not yet fulfilled is reduced at fulfilment.
        0
    };
    tx.invalidate(Invalidation::workspace(
        payment.workspace_id,
        Topic::Billing,
    ));
    if disputed > payment.disputed && matches!(purpose(&payment)?, PaymentPurpose::TopUp { .. }) {
        credits::top_up::pause(tx, payment.workspace_id).await?;
    }
    record_event(tx, &payment, (refunded, disputed), taken).await?;
    Ok(refunded)
}

async fn insert_reversal(tx: &Tx, payment: PaymentId, told: &Reversal) -> Result<(), AppError> {
    let Some(mut row) = entity::PaymentReversal::find_by_id(&told.id)
        .one(tx)
        .await?
    else {
        let Reversal {
            id,
            kind,
            status,
            amount,
            begun_at,
            reported_at,
        } = told.clone();
        let row = Row {
            id,
            payment_id: payment,
            kind,
            status,
            amount,
            begun_at,
            reported_at,
        };
        row.into_active_model().insert(tx).await?;
        return Ok(());
    };
    if row.payment_id != payment || row.kind != told.kind {
        tracing::error!(reversal = row.id, "told of another payment than before");
        return Ok(());
    }
    let later = told.status == row.status && told.reported_at > row.reported_at;
    if told.status > row.status {
        (row.status, row.amount, row.reported_at) = (told.status, told.amount, told.reported_at);
    } else if later && row.kind == ReversalKind::Dispute {
        // The bank may change the disputed amount over time.
        (row.amount, row.reported_at) = (told.amount, told.reported_at);
    } else {
        return Ok(());
    }
    row.into_active_model().reset_all().update(tx).await?;
    Ok(())
}

/// How much of a payment is refunded, and how much disputed: together never more than was paid. Refunds are reported
/// individually, as a total, or both. A total includes refunds that failed after its report.
fn sums(kept: &[Row], paid: Money) -> (Money, Money) {
    let of = |kind, status| {
        kept.iter()
            .filter(move |row| row.kind == kind && row.status == status)
    };
    let sum = |rows: &mut dyn Iterator<Item = &Row>| {
        rows.fold(Money::default(), |sum, row| sum + row.amount)
    };
    let single = sum(&mut of(ReversalKind::Refund, ReversalStatus::Standing));
    let told = of(ReversalKind::Total, ReversalStatus::Standing).map(|total| {
        let failed = of(ReversalKind::Refund, ReversalStatus::Undone);
        let mut held = failed.filter(|row| {
            row.begun_at <= total.reported_at && total.reported_at <= row.reported_at
        });
        total.amount - sum(&mut held)
    });
    let refunded = told.fold(single, Ord::max).min(paid);
    let disputed = sum(&mut of(ReversalKind::Dispute, ReversalStatus::Standing));
    (refunded, disputed.min(paid - refunded))
}

/// Takes back a payment's credits when the returned amount grows from `before`, or grants them again when it shrinks.
/// Only unspent credits can be taken. A month stays active until it ends. Money returned for a month, or for spent
/// credits, is deducted from the balance. Returns the number of credits taken.
pub async fn take_back(
    tx: &mut Tx,
    payment: &payment::Model,
    before: Money,
    after: Money,
) -> Result<i64, AppError> {
    if before == after {
        return Ok(0);
    }
    // Lock the subscription first and then the account, the same order as everywhere.
    let subscription = subscriptions::locked(tx, payment.workspace_id).await?;
    let (taken, debit) = match purpose(payment)? {
        PaymentPurpose::Credits { credits } | PaymentPurpose::TopUp { credits } => {
            let bought = i64::from(credits);
            let (workspace, once) = (payment.workspace_id, payment.id.to_string());
            let due = due(payment.amount, bought, after);
            let took = credits::set_taken_back(tx, workspace, &once, due).await?;
            let Some((had, has)) = took else {
                return Ok(0);
            };
            tx.invalidate(Invalidation::workspace(workspace, Topic::Credits));
            let missing = |reversed, taken| missing(payment.amount, bought, reversed, taken);
            (has - had, missing(after, has) - missing(before, had))
        }
        PaymentPurpose::Subscribe { .. }
        | PaymentPurpose::Change { .. }
        | PaymentPurpose::Renewal { .. } => (0, after - before),
    };
    if let Some(row) = subscription.filter(|_| debit != Money::default()) {
        subscriptions::debit(tx, row, debit).await?;
    }
    Ok(taken)
}

/// How many of the credits are no longer paid for.
fn due(paid: Money, bought: i64, reversed: Money) -> i64 {
    let (paid, reversed) = (i128::from(paid.cents()), i128::from(reversed.cents()));
    i64::try_from(i128::from(bought) * reversed / paid.max(1)).unwrap_or(i64::MAX)
}

/// The returned money that is not covered by credits taken back.
fn missing(paid: Money, bought: i64, reversed: Money, taken: i64) -> Money {
    if taken >= due(paid, bought, reversed) {
        return Money::default();
    }
    let worth = i128::from(paid.cents()) * i128::from(taken) / i128::from(bought.max(1));
    reversed - Money::from_cents(i64::try_from(worth).unwrap_or(i64::MAX))
}

/// Records how much more was returned, or came back, and why.
async fn record_event(
    tx: &mut Tx,
    payment: &payment::Model,
    (refunded, disputed): (Money, Money),
    taken: i64,
) -> Result<(), AppError> {
    let more = refunded + disputed - payment.reversed();
    let none = Money::default();
    let (event, amount, why) = match more.cmp(&none) {
        Ordering::Equal => return Ok(()),
        Ordering::Greater => {
            let why = if disputed > payment.disputed {
                "dispute"
            } else {
                "refund"
            };
            (EventType::BillingPaymentRefunded, more, why)
        }
        Ordering::Less => {
            let why = if disputed < payment.disputed {
                "dispute_won"
            } else {
                "refund_failed"
            };
            (EventType::BillingPaymentSucceeded, none - more, why)
        }
    };
    let data = json!({
        "payment": payment.id, "amount": amount, "for": purpose(payment)?.describe(), "credits": taken.abs(), "why": why,
    });
    let event = NewEvent::in_workspace(payment.workspace_id, event, data);
    events::record(tx, Origin::system(), event)
        .await
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use proptest::prelude::*;

    fn row(id: &str, kind: ReversalKind, status: ReversalStatus, cents: i64, at: [i64; 2]) -> Row {
        let [begun_at, reported_at] = at.map(Timestamp::from_millis);
        Row {
            id: id.to_owned(),
            payment_id: PaymentId::new(),
            kind,
            status,
            amount: Money::from_cents(cents),
            begun_at,
            reported_at,
        }
    }

    #[test]
    fn refunds_are_counted_once_however_they_are_told() {
        use {ReversalKind as Kind, ReversalStatus as Status};
        let told = |rows: &[Row]| {
            let (refunded, disputed) = sums(rows, Money::from_cents(2900));
            (refunded.cents(), disputed.cents())
        };
        let one = row("re_1", Kind::Refund, Status::Standing, 1000, [1, 1]);
        let total = |cents, at| row("evt", Kind::Total, Status::Standing, cents, [at, at]);
        assert_eq!(told(&[]), (0, 0));
        assert_eq!(told(&[one.clone(), total(1000, 1)]), (1000, 0));
        assert_eq!(told(&[one.clone(), total(2500, 2)]), (2500, 0));
        let failed = row("re_1", Kind::Refund, Status::Undone, 1000, [2, 4]);
        assert_eq!(told(&[failed.clone(), total(1000, 3)]), (0, 0));
        assert_eq!(
            told(&[failed.clone(), total(1900, 5)]),
            (1900, 0),
            "of another"
        );
        assert_eq!(
            told(&[failed, total(700, 1)]),
            (700, 0),
            "it was not begun then"
        );
        let dispute = |status| row("du_1", Kind::Dispute, status, 2900, [1, 1]);
        assert_eq!(told(&[dispute(Status::Inquiry)]), (0, 0));
        assert_eq!(told(&[dispute(Status::Undone)]), (0, 0));
        assert_eq!(told(&[dispute(Status::Standing), one]), (1000, 1900));
    }

    proptest! {
        #[test]
        fn what_went_back_is_credits_or_money_and_nothing_is_owed_where_all_came_back(
            paid in 50_i64..100_000, bought in 1_i64..100_000, part in 0_i64..=1000, spent in 0_i64..=1000,
        ) {
            let reversed = Money::from_cents(paid * part / 1000);
            let paid = Money::from_cents(paid);
            let due = due(paid, bought, reversed);
            prop_assert!((0..=bought).contains(&due));
            prop_assert_eq!(missing(paid, bought, reversed, due), Money::default());
            let taken = due * spent / 1000;
            let missing = missing(paid, bought, reversed, taken);
            prop_assert!(missing >= Money::default() && missing <= reversed);
            prop_assert!(taken > 0 || due == 0 || missing == reversed);
        }
    }
}

//! Applies the outcome of a payment.

use domain::catalog::{Catalog, EventType};
use domain::payments::{PaymentPurpose, PaymentStatus};
use domain::{AppError, Money, PaymentId, Timestamp, Topic};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::json;

use super::reversals;
use crate::auth::Unattended;
use crate::billing::{invoices, subscriptions};
use crate::credits;
use crate::db::Tx;
use crate::db::entity::{self, payment};
use crate::events::{self, NewEvent, Origin};
use crate::live::Invalidation;
use crate::payments::provider::PaymentOutcome;
use crate::payments::purpose;

/// Whether the new status advances the old one. `paid` is terminal and follows any other status.
fn goes_on(from: PaymentStatus, to: PaymentStatus) -> bool {
    use PaymentStatus::{Confirming, Declined, Expired, Open, Paid, Started};
    match to {
        Started => false,
        Open => from == Started,
        Confirming => matches!(from, Started | Open),
        Declined | Expired => matches!(from, Started | Open | Confirming),
        Paid => from != Paid,
    }
}

/// Applies the outcome of a payment. Repeated and late outcomes change nothing.
pub async fn settle(
    tx: &mut Tx,
    catalog: &Catalog,
    id: PaymentId,
    fate: PaymentOutcome,
    now: Timestamp,
) -> Result<(), AppError> {
    use payment::Column;
    let Some(payment) = entity::Payment::find_by_id(id)
        .lock_exclusive()
        .one(tx)
        .await?
    else {
        tracing::warn!(payment = %id, "the provider tells of a payment that is not ours");
        return Ok(());
    };
    let PaymentOutcome { status, charged } = fate;
    if !goes_on(payment.status, status) {
        return Ok(());
    }
    if status == PaymentStatus::Paid && charged.is_some_and(|charged| charged != payment.amount) {
        tracing::error!(payment = %id, "another amount was charged than was asked for: nothing is given for it");
        return Ok(());
    }
    let ended = matches!(
        status,
        PaymentStatus::Paid | PaymentStatus::Declined | PaymentStatus::Expired
    );
    let mut change = entity::Payment::update_many()
        .col_expr(Column::Status, Expr::value(status))
        .filter(Column::Id.eq(id));
    if ended {
        change = change
            .col_expr(Column::FinishedAt, Expr::value(Some(now)))
            .col_expr(Column::LookAt, Expr::value(None::<Timestamp>));
    }
    change.exec(tx).await?;
    let purpose = purpose(&payment)?;
    tx.invalidate(Invalidation::workspace(
        payment.workspace_id,
        match purpose {
            PaymentPurpose::Credits { .. } | PaymentPurpose::TopUp { .. } => Topic::Credits,
            _ => Topic::Billing,
        },
    ));
    let top_up = matches!(purpose, PaymentPurpose::TopUp { .. });
    match status {
        PaymentStatus::Paid => fulfil(tx, catalog, &payment, purpose, now).await?,
        PaymentStatus::Declined => {
            record_event(tx, &payment, &purpose, EventType::BillingPaymentFailed).await?;
            subscriptions::not_paid(tx, &payment, &purpose, now).await?;
        }
        PaymentStatus::Expired => subscriptions::not_paid(tx, &payment, &purpose, now).await?,
        _ => {}
    }
    if ended && top_up {
        credits::top_up::ended(tx, &payment, status, now).await?;
    }
    Ok(())
}

/// Fulfils a paid payment.
async fn fulfil(
    tx: &mut Tx,
    catalog: &Catalog,
    payment: &payment::Model,
    purpose: PaymentPurpose,
    now: Timestamp,
) -> Result<(), AppError> {
    let there = entity::Workspace::find_by_id(payment.workspace_id);
    if there.one(tx).await?.is_none() {
        tracing::error!(payment = %payment.id, "paid for a workspace that is gone: pay it back");
        return Ok(());
    }
    record_event(tx, payment, &purpose, EventType::BillingPaymentSucceeded).await?;
    invoices::issue(tx, catalog, payment, purpose.describe(), now).await?;
    match purpose {
        PaymentPurpose::Credits { credits } | PaymentPurpose::TopUp { credits } => {
            let (once, origin) = (payment.id.to_string(), by(payment, &purpose));
            credits::purchase(
                Unattended::Provider,
                tx,
                payment.workspace_id,
                &origin,
                credits,
                &once,
            )
            .await?;
        }
        PaymentPurpose::Subscribe { terms, balance, .. } => {
            subscriptions::subscribed(tx, catalog, payment, (&terms, balance), now).await?;
        }
        PaymentPurpose::Change { terms, ends_at, .. } => {
            subscriptions::changed(tx, catalog, payment, (&terms, ends_at), now).await?;
        }
        PaymentPurpose::Renewal {
            terms,
            ends_at,
            balance,
            ..
        } => subscriptions::renewed(tx, catalog, payment, (&terms, ends_at, balance), now).await?,
    }
    // A reversal may arrive before the report of the payment.
    let (before, after) = (Money::default(), payment.reversed());
    reversals::take_back(tx, payment, before, after)
        .await
        .map(|_| ())
}

async fn record_event(
    tx: &mut Tx,
    payment: &payment::Model,
    purpose: &PaymentPurpose,
    what: EventType,
) -> Result<(), AppError> {
    if entity::Workspace::find_by_id(payment.workspace_id)
        .one(tx)
        .await?
        .is_none()
    {
        return Ok(());
    }
    let origin = by(payment, purpose);
    let data = json!({"payment": payment.id, "amount": payment.amount, "for": purpose.describe()});
    let event = NewEvent::in_workspace(payment.workspace_id, what, data);
    events::record(tx, origin, event).await.map(|_| ())
}

/// Who made the payment. An automatic charge has no person: it was due.
fn by(payment: &payment::Model, purpose: &PaymentPurpose) -> Origin {
    match purpose {
        PaymentPurpose::Renewal { .. } | PaymentPurpose::TopUp { .. } => Origin::system(),
        PaymentPurpose::Credits { .. }
        | PaymentPurpose::Subscribe { .. }
        | PaymentPurpose::Change { .. } => Origin::person(payment.buyer_id, &payment.buyer_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_paid_stays_paid_and_what_ended_is_not_open_again() {
        use PaymentStatus::Paid;
        for from in PaymentStatus::ALL {
            for to in PaymentStatus::ALL {
                assert!(!(goes_on(from, to) && goes_on(to, from)) || to == Paid || from == Paid);
                assert!(!goes_on(Paid, to));
                assert!(!goes_on(from, from));
            }
            assert_eq!(goes_on(from, Paid), from != Paid);
        }
    }
}

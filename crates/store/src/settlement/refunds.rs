//! Refunds that the operator makes.

use domain::payments::{PaymentStatus, ReversalKind, ReversalStatus};
use domain::{AppError, Money, PaymentId};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use super::reversals;
use crate::auth::Unattended;
use crate::context::AppContext;
use crate::db::entity::{self, payment, payment_reversal};
use crate::payments::provider::{Refunded, Reversal};

/// Refunds part of a payment or its remainder. For the operator only. Returns the refunded amount.
pub async fn refund(
    _: Unattended,
    ctx: &AppContext,
    id: PaymentId,
    amount: Option<Money>,
) -> Result<Money, AppError> {
    use payment_reversal::Column as Reversed;
    let payment = entity::Payment::find_by_id(id)
        .filter(payment::Column::Status.eq(PaymentStatus::Paid))
        .one(ctx.db().read())
        .await?
        .ok_or(AppError::NotFound)?;
    let left = payment.amount - payment.reversed();
    let amount = amount.unwrap_or(left);
    if amount.cents() <= 0 || amount > left {
        return Err(AppError::Conflict(format!(
            "Only {left} of this payment can be refunded."
        )));
    }
    let failed = entity::PaymentReversal::find()
        .filter(Reversed::PaymentId.eq(id))
        .filter(Reversed::Kind.eq(ReversalKind::Refund))
        .filter(Reversed::Status.eq(ReversalStatus::Undone))
        .count(ctx.db().read())
        .await?;
    // A caller that does not know of an earlier refund gets that refund, unless it failed.
    let mut once = format!("refund-{id}-{}", payment.refunded.cents());
    if failed > 0 {
        once = format!("{once}-{failed}");
    }
    let Refunded { refund, total } = ctx
        .payments()
        .refund(ctx.provider_context(), &payment, amount, &once)
        .await?;
    let went = refund.status == ReversalStatus::Standing;
    let mut told = vec![refund];
    if went {
        let id = format!("answer {}", told[0].id);
        let kind = ReversalKind::Total;
        told.push(Reversal {
            id,
            kind,
            amount: total,
            ..told[0].clone()
        });
    }
    let mut tx = ctx.db().begin().await?;
    let refunded = reversals::apply(&mut tx, id, &told).await?;
    tx.commit().await?;
    if !went {
        return Err(AppError::Conflict(
            "The refund failed at the payment provider. Try again later.".to_owned(),
        ));
    }
    Ok(refunded - payment.refunded)
}

/// The balance of the workspace's account after this payment. A negative balance is debt.
pub async fn balance_of(ctx: &AppContext, id: PaymentId) -> Result<Money, AppError> {
    let payment = entity::Payment::find_by_id(id).one(ctx.db().read());
    let payment = payment.await?.ok_or(AppError::NotFound)?;
    let row = entity::Subscription::find_by_id(payment.workspace_id);
    let row = row.one(ctx.db().read()).await?;
    Ok(row.map_or_else(Money::default, |row| row.balance))
}

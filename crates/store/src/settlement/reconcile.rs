//! Polls the provider for payments whose outcome is not known.

use std::time::Duration;

use domain::payments::{FIRST_LOOK, PaymentPurpose, PaymentStatus, PaymentView, UNKNOWN_AFTER};
use domain::{AppError, PaymentId, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::outcome::settle;
use crate::auth::{Permit, can};
use crate::billing::subscriptions;
use crate::context::AppContext;
use crate::credits;
use crate::db::entity::{self, payment};
use crate::payments::provider::PaymentOutcome;
use crate::payments::{NewPayment, purpose};

/// The maximum number of payments that one round polls.
const BATCH_SIZE: u64 = 50;
/// The minimum time between two polls for a waiting buyer.
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(10);
/// How long a page waits for the provider's response.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);

/// Polls the provider for payments without an event: the event may be lost, or this program stopped before it applied
/// the event. Returns their number.
pub async fn reconcile_pending(ctx: &AppContext, now: Timestamp) -> Result<usize, AppError> {
    use payment::Column;
    let waiting = entity::Payment::find()
        .filter(Column::LookAt.lte(now))
        .order_by_asc(Column::LookAt)
        .limit(BATCH_SIZE)
        .all(ctx.db().read())
        .await?;
    for payment in &waiting {
        reconcile(ctx, payment, now).await?;
    }
    Ok(waiting.len())
}

/// Polls the provider for one payment and applies the outcome.
async fn reconcile(
    ctx: &AppContext,
    payment: &payment::Model,
    now: Timestamp,
) -> Result<(), AppError> {
    use payment::Column;
    let age = now.since(payment.created_at);
    let found = match ctx
        .payments()
        .fetch_status(ctx.provider_context(), payment)
        .await
    {
        Ok(None) => unknown(ctx, payment, age).await,
        found => found,
    };
    // A failure does not block the others.
    let fate = found.unwrap_or_else(|error| {
        tracing::warn!(payment = %payment.id, %error, "the provider could not be asked");
        None
    });
    let mut tx = ctx.db().begin().await?;
    // The older the payment, the less often.
    let next = now.after(FIRST_LOOK.max(age / 2));
    entity::Payment::update_many()
        .col_expr(Column::LookAt, Expr::value(Some(next)))
        .filter(Column::Id.eq(payment.id))
        .filter(Column::LookAt.is_not_null())
        .exec(&tx)
        .await?;
    if let Some(fate) = fate {
        settle(&mut tx, ctx.catalog(), payment.id, fate, now).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Polls the provider when a buyer returns before the event arrives. The polls are rate-limited, so that page reloads
/// do not overload the provider.
async fn ask_for_who_waits(
    ctx: &AppContext,
    payment: &payment::Model,
    now: Timestamp,
) -> Result<(), AppError> {
    use payment::Column;
    let next = now.after(MIN_POLL_INTERVAL);
    let tx = ctx.db().begin().await?;
    let claimed = entity::Payment::update_many()
        .col_expr(Column::LookAt, Expr::value(Some(next)))
        .filter(Column::Id.eq(payment.id))
        .filter(Column::LookAt.gt(next))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    if claimed.rows_affected == 1 {
        // The page waits only a short time.
        let _ = tokio::time::timeout(STATUS_TIMEOUT, reconcile(ctx, payment, now)).await;
    }
    Ok(())
}

/// Handles a payment that the provider does not know. A renewal or top-up is charged, unless somebody has paid the
/// month manually or turned the top-up off. A change expires: the person who requested it has already seen the failure.
/// A payment on a page may still be on its way to the provider.
async fn unknown(
    ctx: &AppContext,
    payment: &payment::Model,
    age: Duration,
) -> Result<Option<PaymentOutcome>, AppError> {
    let purpose = purpose(payment)?;
    match purpose {
        PaymentPurpose::Renewal { .. } if !subscriptions::waits_for(ctx, payment).await? => {
            Ok(Some(PaymentStatus::Expired.into()))
        }
        PaymentPurpose::TopUp { .. } if !credits::top_up::waits_for(ctx, payment).await? => {
            Ok(Some(PaymentStatus::Expired.into()))
        }
        PaymentPurpose::Renewal { .. } | PaymentPurpose::TopUp { .. } => {
            let new = NewPayment {
                workspace: payment.workspace_id,
                buyer: (payment.buyer_id, &payment.buyer_name),
                purpose: &purpose,
                amount: payment.amount,
                look_at: payment.created_at,
            };
            let order = new.order(payment.id);
            ctx.payments()
                .charge(ctx.provider_context(), &order)
                .await
                .map(Some)
        }
        PaymentPurpose::Change { .. } => Ok(Some(PaymentStatus::Expired.into())),
        PaymentPurpose::Credits { .. } | PaymentPurpose::Subscribe { .. } => {
            Ok((age > UNKNOWN_AFTER).then(|| PaymentStatus::Expired.into()))
        }
    }
}

/// A payment of this workspace, for the page that the user returns to.
pub async fn view(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    id: PaymentId,
) -> Result<Option<PaymentView>, AppError> {
    let find = || {
        entity::Payment::find_by_id(id)
            .filter(payment::Column::WorkspaceId.eq(actor.workspace()))
            .one(ctx.db().read())
    };
    let mut payment = find().await?;
    if let Some(under_way) = payment
        .as_ref()
        .filter(|payment| payment.checkout_id.is_some() && payment.look_at.is_some())
    {
        ask_for_who_waits(ctx, under_way, Timestamp::now()).await?;
        payment = find().await?;
    }
    payment
        .map(|payment| {
            Ok(PaymentView {
                what: purpose(&payment)?.describe(),
                id: payment.id,
                status: payment.status,
                amount: payment.amount,
            })
        })
        .transpose()
}

//! Settlement: requests payments from the provider, and applies their outcomes, each exactly once: credits, plans,
//! invoices, and what is taken back. It is above payments, credits, subscriptions and invoices, which do not know it.

mod outcome;
pub mod provider_webhook;
mod reconcile;
mod refunds;
pub mod reversals;
pub mod simulated_events;

use domain::payments::{PaymentPurpose, PaymentStatus};
use domain::{AppError, Money, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::auth::{Permit, Sensitive, can};
use crate::context::AppContext;
use crate::db::entity::{self, payment};
use crate::payments::provider::Order;
use crate::payments::{NewPayment, insert_payment};

pub use outcome::settle;
pub use reconcile::{reconcile_pending, view};
pub use refunds::{balance_of, refund};

/// Stores a payment and requests a payment page from the provider. Returns its URL. Whether the payment succeeds or
/// not, the buyer returns to `page` with the payment's id as `?payment=`.
pub async fn begin(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    purpose: &PaymentPurpose,
    amount: Money,
    page: &str,
) -> Result<String, AppError> {
    let order = prepare(ctx, actor, purpose, amount, page).await?;
    ask(ctx, &order).await
}

/// Stores a payment that is made on a page of the provider.
pub async fn prepare(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    purpose: &PaymentPurpose,
    amount: Money,
    page: &str,
) -> Result<Order, AppError> {
    actor.person().require_fresh(Sensitive::Buy)?;
    let tx = ctx.db().begin().await?;
    let new = NewPayment::by(actor, purpose, amount);
    let payment = insert_payment(&tx, &new).await?;
    tx.commit().await?;
    let return_path = format!("{page}?payment={payment}");
    Ok(Order {
        return_path,
        ..new.order(payment)
    })
}

/// Charges the saved card for a stored payment. Returns the outcome.
pub async fn charge(
    ctx: &AppContext,
    order: &Order,
    now: Timestamp,
) -> Result<PaymentStatus, AppError> {
    let fate = ctx.payments().charge(ctx.provider_context(), order).await?;
    let mut tx = ctx.db().begin().await?;
    settle(&mut tx, ctx.catalog(), order.payment, fate, now).await?;
    tx.commit().await?;
    Ok(fate.status)
}

/// Requests a payment page from the provider. Returns its URL.
pub async fn ask(ctx: &AppContext, order: &Order) -> Result<String, AppError> {
    let checkout = ctx
        .payments()
        .checkout(ctx.provider_context(), order)
        .await?;
    let mut tx = ctx.db().begin().await?;
    entity::Payment::update_many()
        .col_expr(payment::Column::CheckoutId, Expr::value(checkout.id))
        .filter(payment::Column::Id.eq(order.payment))
        .exec(&tx)
        .await?;
    let open = PaymentStatus::Open.into();
    settle(
        &mut tx,
        ctx.catalog(),
        order.payment,
        open,
        Timestamp::now(),
    )
    .await?;
    tx.commit().await?;
    Ok(checkout.url)
}

//! Payments. No money moves within a database transaction. A payment is stored first, then the provider is asked for a
//! payment page. The outcome is applied when the provider's signed event arrives, or when the provider is polled
//! because no event came. After a crash at any point, the next poll completes the payment: every charge is fulfilled,
//! exactly once.
//!
//! [`provider`] defines the interface of a payment provider. [`simulated`] is the default provider: it moves no money,
//! keeps its own records, and sends signed events like any other provider.

pub mod provider;
pub mod provider_webhook;
pub mod reversals;
pub mod simulated;
pub mod stripe_customers;

use std::time::Duration;

use crate::credits;
use domain::catalog::{Catalog, EventType};
use domain::payments::{
    FIRST_LOOK, PaymentPurpose, PaymentStatus, PaymentView, ReversalKind, ReversalStatus,
    UNKNOWN_AFTER,
};
use domain::{
    AppError, Money, PaymentId, Permission, Timestamp, Topic, UserId, WorkspaceId, internal,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use serde_json::json;

use self::reversals::Reversal;
use crate::auth::{Actor, Sensitive};
use crate::billing::{invoices, subscriptions};
use crate::context::AppContext;
use crate::db::Tx;
use crate::db::entity::{self, payment, payment_reversal};
use crate::events::{self, NewEvent, Origin};
use crate::live::Invalidation;
use crate::payments::provider::{Order, PaymentOutcome, Refunded};

/// A payment, as its row says.
pub use crate::db::entity::payment::Model as PaymentRow;

/// The maximum number of payments that one round polls.
const BATCH_SIZE: u64 = 50;
/// The minimum time between two polls for a waiting buyer.
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(10);
/// How long a page waits for the provider's response.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);

/// A payment to store before the provider is asked.
pub struct NewPayment<'a> {
    pub workspace: WorkspaceId,
    pub buyer: (UserId, &'a str),
    pub purpose: &'a PaymentPurpose,
    pub amount: Money,
    /// When to poll the provider, unless an event arrives earlier.
    pub look_at: Timestamp,
}

impl<'a> NewPayment<'a> {
    pub fn by(actor: &'a Actor, purpose: &'a PaymentPurpose, amount: Money) -> Self {
        Self {
            workspace: actor.workspace(),
            buyer: (actor.person().id(), actor.person().name()),
            purpose,
            amount,
            look_at: Timestamp::now().after(FIRST_LOOK),
        }
    }
}

/// Stores a payment and requests a payment page from the provider. Returns its URL. Whether the payment succeeds or
/// not, the buyer returns to `page` with the payment's id as `?payment=`.
pub async fn begin(
    ctx: &AppContext,
    actor: &Actor,
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
    actor: &Actor,
    purpose: &PaymentPurpose,
    amount: Money,
    page: &str,
) -> Result<Order, AppError> {
    actor.require(Permission::ManageBilling)?;
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

impl NewPayment<'_> {
    /// The order for the provider, without a return page.
    pub fn order(&self, payment: PaymentId) -> Order {
        Order {
            payment,
            workspace: self.workspace,
            keeps_card: self.purpose.keeps_card(),
            amount: self.amount,
            description: self.purpose.describe(),
            return_path: String::new(),
        }
    }
}

/// Stores a payment.
pub async fn insert_payment(tx: &Tx, new: &NewPayment<'_>) -> Result<PaymentId, AppError> {
    let id = PaymentId::new();
    let purpose = serde_json::to_value(new.purpose);
    let (buyer_id, buyer_name) = new.buyer;
    payment::ActiveModel {
        id: Set(id),
        workspace_id: Set(new.workspace),
        purpose: Set(purpose.map_err(|error| internal("a payment", &error))?),
        amount: Set(new.amount),
        status: Set(PaymentStatus::Started),
        checkout_id: Set(None),
        buyer_id: Set(buyer_id),
        buyer_name: Set(buyer_name.to_owned()),
        created_at: Set(Timestamp::now()),
        finished_at: Set(None),
        look_at: Set(Some(new.look_at)),
        refunded: Set(Money::from_cents(0)),
        disputed: Set(Money::from_cents(0)),
        intent_id: Set(None),
    }
    .insert(tx)
    .await?;
    Ok(id)
}

/// Charges the saved card for a stored payment. Returns the outcome.
pub async fn charge(
    ctx: &AppContext,
    order: &Order,
    now: Timestamp,
) -> Result<PaymentStatus, AppError> {
    let fate = ctx.payments().charge(ctx, order).await?;
    let mut tx = ctx.db().begin().await?;
    settle(&mut tx, ctx.catalog(), order.payment, fate, now).await?;
    tx.commit().await?;
    Ok(fate.status)
}

/// Requests a payment page from the provider. Returns its URL.
pub async fn ask(ctx: &AppContext, order: &Order) -> Result<String, AppError> {
    let checkout = ctx.payments().checkout(ctx, order).await?;
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
            credits::purchase(tx, payment.workspace_id, &origin, credits, &once).await?;
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

/// Refunds part of a payment or its remainder. For the operator only. Returns the refunded amount.
pub async fn refund(
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
    let Refunded { refund, total } = ctx.payments().refund(ctx, &payment, amount, &once).await?;
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

/// Stores the provider's ID of a payment: disputes contain no other.
pub async fn remember_intent(tx: &Tx, id: PaymentId, intent: &str) -> Result<(), AppError> {
    use payment::Column;
    entity::Payment::update_many()
        .col_expr(Column::IntentId, Expr::value(Some(intent)))
        .filter(Column::Id.eq(id))
        .filter(Column::IntentId.is_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// The payment with this provider ID.
pub async fn by_intent(ctx: &AppContext, intent: &str) -> Result<Option<PaymentId>, AppError> {
    let payment = entity::Payment::find()
        .filter(payment::Column::IntentId.eq(intent))
        .one(ctx.db().read())
        .await?;
    Ok(payment.map(|payment| payment.id))
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

pub fn purpose(payment: &payment::Model) -> Result<PaymentPurpose, AppError> {
    serde_json::from_value(payment.purpose.clone()).map_err(|error| internal("a payment", &error))
}

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
    let found = match ctx.payments().fetch_status(ctx, payment).await {
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
            ctx.payments().charge(ctx, &order).await.map(Some)
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
    actor: &Actor,
    id: PaymentId,
) -> Result<Option<PaymentView>, AppError> {
    actor.require(Permission::ManageBilling)?;
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

//! Payments under way: writing one down, asking for a page to pay it on, and applying what became of it.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use serde_json::json;

use super::model::{FIRST_LOOK, PaymentStatus, PaymentView, Purpose, UNKNOWN_AFTER};
use super::port::{Fate, Order};
use crate::catalog::EventType;
use crate::db::Tx;
use crate::db::entity::{self, payment};
use crate::domain::{AppError, Money, PaymentId, Permission, Timestamp};
use crate::events::{self, NewEvent, Origin};
use crate::failure::internal;
use crate::house::House;
use crate::live::{Hint, Topic};
use crate::session::Actor;
use crate::settings::credits;

/// How many payments one round asks about at most.
const A_ROUND: u64 = 50;

/// Writes down what is to be paid, and asks the provider for a page to pay it on. Answers where that is. Whether it is
/// paid or not, the buyer comes back to `page` with the payment's id as `?payment=`.
pub async fn begin(
    house: &House,
    actor: &Actor,
    purpose: &Purpose,
    amount: Money,
    page: &str,
) -> Result<String, AppError> {
    let order = write_down(house, actor, purpose, amount, page).await?;
    ask(house, &order).await
}

/// Writes down what is to be paid.
pub async fn write_down(
    house: &House,
    actor: &Actor,
    purpose: &Purpose,
    amount: Money,
    page: &str,
) -> Result<Order, AppError> {
    actor.require(Permission::ManageBilling)?;
    let id = PaymentId::new();
    let now = Timestamp::now();
    let row = payment::ActiveModel {
        id: Set(id),
        workspace_id: Set(actor.workspace()),
        purpose: Set(serde_json::to_value(purpose).map_err(|error| internal("a payment", &error))?),
        amount: Set(amount),
        status: Set(PaymentStatus::Started),
        checkout_id: Set(None),
        buyer_id: Set(actor.person().id()),
        buyer_name: Set(actor.person().name().to_owned()),
        created_at: Set(now),
        finished_at: Set(None),
        look_at: Set(Some(now.after(FIRST_LOOK))),
    };
    let tx = house.db().begin().await?;
    row.insert(&tx).await?;
    tx.commit().await?;
    Ok(Order {
        payment: id,
        amount,
        description: purpose.describe(),
        return_path: format!("{page}?payment={id}"),
    })
}

/// Asks the provider for a page to pay on. Answers where that is.
pub async fn ask(house: &House, order: &Order) -> Result<String, AppError> {
    let checkout = house.payments().checkout(house, order).await?;
    let mut tx = house.db().begin().await?;
    entity::Payment::update_many()
        .col_expr(payment::Column::CheckoutId, Expr::value(checkout.id))
        .filter(payment::Column::Id.eq(order.payment))
        .exec(&tx)
        .await?;
    let open = PaymentStatus::Open.into();
    settle(&mut tx, order.payment, open, Timestamp::now()).await?;
    tx.commit().await?;
    Ok(checkout.url)
}

/// Whether the one says more than the other. That money was charged is the last word, whatever was said before.
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

/// Applies what became of a payment. Told again, or told too late, it changes nothing.
pub async fn settle(
    tx: &mut Tx,
    id: PaymentId,
    fate: Fate,
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
    let Fate { status, charged } = fate;
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
    tx.hint(Hint::workspace(payment.workspace_id, Topic::Credits));
    match status {
        PaymentStatus::Paid => give(tx, &payment).await,
        PaymentStatus::Declined => note(tx, &payment, EventType::BillingPaymentFailed).await,
        _ => Ok(()),
    }
}

/// Gives what was paid for.
async fn give(tx: &mut Tx, payment: &payment::Model) -> Result<(), AppError> {
    let there = entity::Workspace::find_by_id(payment.workspace_id);
    if there.one(tx).await?.is_none() {
        tracing::error!(payment = %payment.id, "paid for a workspace that is gone: pay it back");
        return Ok(());
    }
    note(tx, payment, EventType::BillingPaymentSucceeded).await?;
    match purpose(payment)? {
        Purpose::Credits { credits } => {
            let once = payment.id.to_string();
            credits::store::purchase(tx, payment.workspace_id, &buyer(payment), credits, &once)
                .await?;
        }
    }
    Ok(())
}

async fn note(tx: &mut Tx, payment: &payment::Model, what: EventType) -> Result<(), AppError> {
    if entity::Workspace::find_by_id(payment.workspace_id)
        .one(tx)
        .await?
        .is_none()
    {
        return Ok(());
    }
    let data = json!({
        "payment": payment.id, "amount": payment.amount, "for": purpose(payment)?.describe(),
    });
    let event = NewEvent::in_workspace(payment.workspace_id, what, data);
    events::record(tx, buyer(payment), event).await.map(|_| ())
}

fn buyer(payment: &payment::Model) -> Origin {
    Origin::person(payment.buyer_id, &payment.buyer_name)
}

fn purpose(payment: &payment::Model) -> Result<Purpose, AppError> {
    serde_json::from_value(payment.purpose.clone()).map_err(|error| internal("a payment", &error))
}

/// Asks the provider about payments of which nothing was heard: an event may have been lost, or this program stopped
/// before it was applied. Answers about how many.
pub async fn look_again(house: &House, now: Timestamp) -> Result<usize, AppError> {
    use payment::Column;
    let waiting = entity::Payment::find()
        .filter(Column::LookAt.lte(now))
        .order_by_asc(Column::LookAt)
        .limit(A_ROUND)
        .all(house.db().read())
        .await?;
    for payment in &waiting {
        let age = now.since(payment.created_at);
        let fate = match house.payments().look(house, payment).await {
            Ok(Some(fate)) => Some(fate),
            Ok(None) => (age > UNKNOWN_AFTER).then(|| PaymentStatus::Expired.into()),
            Err(error) => {
                tracing::warn!(payment = %payment.id, %error, "the provider could not be asked");
                None
            }
        };
        let mut tx = house.db().begin().await?;
        // The older it is, the less often.
        let next = now.after(FIRST_LOOK.max(age / 2));
        entity::Payment::update_many()
            .col_expr(Column::LookAt, Expr::value(Some(next)))
            .filter(Column::Id.eq(payment.id))
            .filter(Column::LookAt.is_not_null())
            .exec(&tx)
            .await?;
        if let Some(fate) = fate {
            settle(&mut tx, payment.id, fate, now).await?;
        }
        tx.commit().await?;
    }
    Ok(waiting.len())
}

/// A payment of this workspace, as the page shows it to which one comes back.
pub async fn view(
    house: &House,
    actor: &Actor,
    id: PaymentId,
) -> Result<Option<PaymentView>, AppError> {
    actor.require(Permission::ManageBilling)?;
    let payment = entity::Payment::find_by_id(id)
        .filter(payment::Column::WorkspaceId.eq(actor.workspace()))
        .one(house.db().read())
        .await?;
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

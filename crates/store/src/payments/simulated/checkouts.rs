//! Checkouts: their page, the buyer's choice, and the bank's confirmation.

use std::time::Duration;

use domain::payments::{CHECKOUT_LIFE, CURRENCY, CheckoutStatus, CheckoutView, Choice};
use domain::{AppError, Money, Timestamp};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use serde_json::json;

use super::cards::keep_card;
use super::events::to_be_told;
use crate::db::entity::{self, simulated_checkout};
use crate::db::{Db, Tx};
use crate::master_key::Token;
use crate::payments::provider::Order;

/// How long the bank takes to confirm.
const CONFIRMS_AFTER: Duration = Duration::from_secs(5);
/// The maximum number of items in one round.
const BATCH_SIZE: u64 = 50;

/// The checkout of an order, created on the first request, and locked.
pub(super) async fn open(tx: &Tx, order: &Order) -> Result<simulated_checkout::Model, AppError> {
    let now = Timestamp::now();
    let row = simulated_checkout::ActiveModel {
        // Anyone who knows the id can pay, so it is as hard to guess as a session token.
        id: Set(Token::generate().plain().expose().to_owned()),
        reference: Set(order.payment.to_string()),
        amount: Set(order.amount),
        description: Set(order.description.clone()),
        return_path: Set(order.return_path.clone()),
        status: Set(CheckoutStatus::Open),
        created_at: Set(now),
        due_at: Set(Some(now.after(CHECKOUT_LIFE))),
        customer: Set(order.keeps_card.then(|| order.workspace.to_string())),
        refunded: Set(Money::from_cents(0)),
    };
    entity::SimulatedCheckout::insert(row)
        .on_conflict(
            OnConflict::column(simulated_checkout::Column::Reference)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    entity::SimulatedCheckout::find()
        .filter(simulated_checkout::Column::Reference.eq(order.payment.to_string()))
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)
}

/// The page for a payment.
pub async fn view(db: &Db, id: &str) -> Result<CheckoutView, AppError> {
    let checkout = entity::SimulatedCheckout::find_by_id(id)
        .one(db.read())
        .await?
        .ok_or(AppError::NotFound)?;
    Ok(CheckoutView {
        id: checkout.id,
        amount: checkout.amount,
        description: checkout.description,
        status: checkout.status,
        return_path: checkout.return_path,
    })
}

/// Stores the choice in the provider's records. Returns the path that the buyer came from.
pub async fn decide(db: &Db, id: &str, choice: Choice) -> Result<String, AppError> {
    let now = Timestamp::now();
    let mut tx = db.begin().await?;
    let checkout = entity::SimulatedCheckout::find_by_id(id)
        .lock_exclusive()
        .one(&tx)
        .await?
        .ok_or(AppError::NotFound)?;
    if checkout.status != CheckoutStatus::Open {
        let problem = format!("This payment is already {}.", checkout.status);
        return Err(AppError::Conflict(problem));
    }
    let (status, due) = match choice {
        Choice::Pay => (CheckoutStatus::Paid, None),
        Choice::Confirm => (CheckoutStatus::Confirming, Some(now.after(CONFIRMS_AFTER))),
        Choice::Decline => (CheckoutStatus::Declined, None),
    };
    turn(&mut tx, (&checkout, checkout.status), status, due, now).await?;
    tx.commit().await?;
    Ok(checkout.return_path)
}

/// Stores the new status of a checkout and an event for it.
pub(super) async fn turn(
    tx: &mut Tx,
    (checkout, before): (&simulated_checkout::Model, CheckoutStatus),
    status: CheckoutStatus,
    due: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), AppError> {
    use simulated_checkout::Column;
    let (event_type, payment_status) = match (before, status) {
        (CheckoutStatus::Confirming, CheckoutStatus::Paid) => {
            ("checkout.session.async_payment_succeeded", "paid")
        }
        (_, CheckoutStatus::Paid) => ("checkout.session.completed", "paid"),
        (_, CheckoutStatus::Confirming) => ("checkout.session.completed", "unpaid"),
        (_, CheckoutStatus::Declined) => ("checkout.session.async_payment_failed", "unpaid"),
        (_, CheckoutStatus::Expired | CheckoutStatus::Open) => {
            ("checkout.session.expired", "unpaid")
        }
    };
    entity::SimulatedCheckout::update_many()
        .col_expr(Column::Status, Expr::value(status))
        .col_expr(Column::DueAt, Expr::value(due))
        .filter(Column::Id.eq(&checkout.id))
        .exec(tx)
        .await?;
    if status == CheckoutStatus::Paid
        && let Some(customer) = &checkout.customer
    {
        keep_card(tx, customer, Some(true), &checkout.return_path).await?;
    }
    let object = json!({
        "id": checkout.id,
        "object": "checkout.session",
        "client_reference_id": checkout.reference,
        "amount_total": checkout.amount,
        "currency": CURRENCY,
        "payment_status": payment_status,
    });
    to_be_told(tx, event_type, &object, now).await
}

/// Confirms payments that are due at the bank, and expires unpaid ones. Returns their number.
pub async fn process_due(db: &Db, now: Timestamp) -> Result<usize, AppError> {
    use simulated_checkout::Column;
    let due = entity::SimulatedCheckout::find()
        .filter(Column::DueAt.lte(now))
        .order_by_asc(Column::DueAt)
        .limit(BATCH_SIZE)
        .all(db.read())
        .await?;
    for found in &due {
        let mut tx = db.begin().await?;
        let checkout = entity::SimulatedCheckout::find_by_id(&found.id)
            .lock_exclusive()
            .one(&tx)
            .await?;
        // Somebody may have paid meanwhile.
        let Some(checkout) = checkout.filter(|now_there| now_there.status == found.status) else {
            continue;
        };
        let status = match checkout.status {
            CheckoutStatus::Confirming => CheckoutStatus::Paid,
            _ => CheckoutStatus::Expired,
        };
        turn(&mut tx, (&checkout, checkout.status), status, None, now).await?;
        tx.commit().await?;
    }
    Ok(due.len())
}

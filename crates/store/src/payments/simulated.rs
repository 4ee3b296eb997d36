//! The default provider, which moves no money. It has a payment page, its own records, and a bank that can delay its
//! confirmation. It reports each result by signed events, as any provider does.

use std::time::Duration;

use async_trait::async_trait;
use domain::payments::{
    CHECKOUT_LIFE, CURRENCY, CardView, CheckoutStatus, CheckoutView, Choice, PaymentStatus,
    ReversalKind, ReversalStatus,
};
use domain::{AppError, Money, Secret, Timestamp, WorkspaceId, days};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use serde_json::{Value, json};

use super::provider::{
    Checkout, Order, PaymentOutcome, Provider, ProviderContext, Refunded, Reversal,
};
use crate::db::entity::{self, payment, simulated_card, simulated_checkout, simulated_event};
use crate::db::{Db, Tx};
use crate::master_key::{MasterKey, Token};

/// How long the bank takes to confirm.
const CONFIRMS_AFTER: Duration = Duration::from_secs(5);
/// The maximum number of items in one round.
const BATCH_SIZE: u64 = 50;
/// How long sent events are kept.
const MEMORY: Duration = days(90);

#[derive(Debug)]
pub struct Simulated {
    signing_secret: Secret,
}

impl Simulated {
    pub fn new(key: &MasterKey) -> Self {
        Self {
            signing_secret: Secret::from(key.mac("simulated payments", b"events")),
        }
    }
}

#[async_trait]
impl Provider for Simulated {
    async fn checkout(
        &self,
        ctx: ProviderContext<'_>,
        order: &Order,
    ) -> Result<Checkout, AppError> {
        let tx = ctx.db().begin().await?;
        let checkout = open(&tx, order).await?;
        tx.commit().await?;
        Ok(Checkout {
            url: format!("/pay/{}", checkout.id),
            id: checkout.id,
        })
    }

    async fn charge(
        &self,
        ctx: ProviderContext<'_>,
        order: &Order,
    ) -> Result<PaymentOutcome, AppError> {
        let mut tx = ctx.db().begin().await?;
        let mut checkout = open(&tx, order).await?;
        if checkout.status == CheckoutStatus::Open {
            let card = entity::SimulatedCard::find_by_id(order.workspace.to_string());
            let card = card.one(&tx).await?;
            checkout.status = match card.and_then(|card| card.works) {
                Some(true) => CheckoutStatus::Paid,
                Some(false) | None => CheckoutStatus::Declined,
            };
            let now = Timestamp::now();
            let before = CheckoutStatus::Open;
            turn(&mut tx, (&checkout, before), checkout.status, None, now).await?;
        }
        tx.commit().await?;
        Ok(fate(&checkout))
    }

    async fn manage(
        &self,
        ctx: ProviderContext<'_>,
        workspace: WorkspaceId,
        return_path: &str,
    ) -> Result<String, AppError> {
        use simulated_card::Column;
        let tx = ctx.db().begin().await?;
        let find = || entity::SimulatedCard::find_by_id(workspace.to_string());
        let token = if let Some(card) = find().lock_exclusive().one(&tx).await? {
            entity::SimulatedCard::update_many()
                .col_expr(Column::ReturnPath, Expr::value(return_path))
                .filter(Column::Customer.eq(&card.customer))
                .exec(&tx)
                .await?;
            card.token
        } else {
            keep_card(&tx, &workspace.to_string(), None, return_path).await?
        };
        tx.commit().await?;
        Ok(format!("/pay/card/{token}"))
    }

    async fn fetch_status(
        &self,
        ctx: ProviderContext<'_>,
        payment: &payment::Model,
    ) -> Result<Option<PaymentOutcome>, AppError> {
        let checkout = entity::SimulatedCheckout::find()
            .filter(simulated_checkout::Column::Reference.eq(payment.id.to_string()))
            .one(ctx.db().read())
            .await?;
        Ok(checkout.as_ref().map(fate))
    }

    async fn refund(
        &self,
        ctx: ProviderContext<'_>,
        payment: &payment::Model,
        amount: Money,
        _once: &str,
    ) -> Result<Refunded, AppError> {
        use simulated_checkout::Column;
        let tx = ctx.db().begin().await?;
        let checkout = entity::SimulatedCheckout::find()
            .filter(Column::Reference.eq(payment.id.to_string()))
            .filter(Column::Status.eq(CheckoutStatus::Paid))
            .lock_exclusive()
            .one(&tx)
            .await?
            .ok_or(AppError::NotFound)?;
        // A caller that does not know of an earlier refund gets the earlier refund.
        let refunded = checkout.refunded.max(payment.refunded + amount);
        if refunded > checkout.amount {
            return Err(AppError::Conflict(
                "The refund is larger than the payment.".to_owned(),
            ));
        }
        entity::SimulatedCheckout::update_many()
            .col_expr(Column::Refunded, Expr::value(refunded))
            .filter(Column::Id.eq(&checkout.id))
            .exec(&tx)
            .await?;
        let object = json!({
            "id": format!("ch_{}", checkout.id),
            "object": "charge",
            "amount": checkout.amount,
            "amount_refunded": refunded,
            "currency": CURRENCY,
            "metadata": {"payment": checkout.reference},
        });
        let now = Timestamp::now();
        to_be_told(&tx, "charge.refunded", &object, now).await?;
        tx.commit().await?;
        Ok(Refunded {
            refund: Reversal {
                id: format!("re_{}_{}", checkout.id, refunded.cents()),
                kind: ReversalKind::Refund,
                status: ReversalStatus::Standing,
                amount: refunded - payment.refunded,
                begun_at: now,
                reported_at: now,
            },
            total: refunded,
        })
    }

    fn signing_secret(&self) -> Secret {
        self.signing_secret.clone()
    }
}

fn fate(checkout: &simulated_checkout::Model) -> PaymentOutcome {
    PaymentOutcome {
        status: match checkout.status {
            CheckoutStatus::Open => PaymentStatus::Open,
            CheckoutStatus::Confirming => PaymentStatus::Confirming,
            CheckoutStatus::Paid => PaymentStatus::Paid,
            CheckoutStatus::Declined => PaymentStatus::Declined,
            CheckoutStatus::Expired => PaymentStatus::Expired,
        },
        charged: Some(checkout.amount),
    }
}

/// The checkout of an order, created on the first request, and locked.
async fn open(tx: &Tx, order: &Order) -> Result<simulated_checkout::Model, AppError> {
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

/// Saves a customer's card. Returns the secret part of its page's URL.
async fn keep_card(
    tx: &Tx,
    customer: &str,
    works: Option<bool>,
    return_path: &str,
) -> Result<String, AppError> {
    let token = Token::generate().plain().expose().to_owned();
    let row = simulated_card::ActiveModel {
        customer: Set(customer.to_owned()),
        token: Set(token.clone()),
        works: Set(works),
        return_path: Set(return_path.to_owned()),
    };
    entity::SimulatedCard::insert(row)
        .on_conflict(
            OnConflict::column(simulated_card::Column::Customer)
                .update_columns([
                    simulated_card::Column::Token,
                    simulated_card::Column::Works,
                    simulated_card::Column::ReturnPath,
                ])
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    Ok(token)
}

/// The page of a saved card.
pub async fn card(db: &Db, token: &str) -> Result<CardView, AppError> {
    let card = entity::SimulatedCard::find()
        .filter(simulated_card::Column::Token.eq(token))
        .one(db.read())
        .await?
        .ok_or(AppError::NotFound)?;
    Ok(CardView {
        token: card.token,
        works: card.works,
        return_path: card.return_path,
    })
}

/// Replaces the card with one that works or one that is declined. Returns the path that its owner came from.
pub async fn set_card(db: &Db, token: &str, works: bool) -> Result<String, AppError> {
    let card = card(db, token).await?;
    let tx = db.begin().await?;
    entity::SimulatedCard::update_many()
        .col_expr(simulated_card::Column::Works, Expr::value(Some(works)))
        .filter(simulated_card::Column::Token.eq(token))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(card.return_path)
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
async fn turn(
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

/// Stores an event for delivery.
async fn to_be_told(
    tx: &Tx,
    event_type: &str,
    object: &Value,
    now: Timestamp,
) -> Result<(), AppError> {
    let id = format!("evt_{}", Token::generate().plain().expose());
    let body = json!({
        "id": id,
        "object": "event",
        "type": event_type,
        "created": now.millis() / 1000,
        "data": {"object": object},
    });
    simulated_event::ActiveModel {
        id: Set(id),
        body: Set(body.to_string()),
        created_at: Set(now),
        delivered_at: Set(None),
    }
    .insert(tx)
    .await?;
    Ok(())
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

/// Deletes old events.
pub async fn sweep(db: &Db) -> Result<u64, AppError> {
    let tx = db.begin().await?;
    let gone = entity::SimulatedEvent::delete_many()
        .filter(simulated_event::Column::DeliveredAt.lt(Timestamp::now().before(MEMORY)))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(gone.rows_affected)
}

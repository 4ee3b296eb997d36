//! The default provider, which moves no money. It has a payment page, its own records, and a bank that can delay its
//! confirmation. It reports each result by signed events, as any provider does.

mod cards;
mod checkouts;
mod events;

pub use cards::{card, set_card};
pub use checkouts::{decide, process_due, view};
pub use events::sweep;

use async_trait::async_trait;
use domain::payments::{CURRENCY, CheckoutStatus, PaymentStatus, ReversalKind, ReversalStatus};
use domain::{AppError, Money, Secret, Timestamp, WorkspaceId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::json;

use self::cards::keep_card;
use self::checkouts::{open, turn};
use self::events::to_be_told;
use super::provider::{
    Checkout, Order, PaymentOutcome, Provider, ProviderContext, Refunded, Reversal,
};
use crate::db::entity::{self, payment, simulated_card, simulated_checkout};
use crate::master_key::MasterKey;

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

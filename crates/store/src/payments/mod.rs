//! Payments. No money moves within a database transaction. A payment is stored first, then the provider is asked for a
//! payment page. The outcome is applied when the provider's signed event arrives, or when the provider is polled
//! because no event came. After a crash at any point, the next poll completes the payment: every charge is fulfilled,
//! exactly once.
//!
//! [`provider`] defines the interface of a payment provider. [`simulated`] is the default provider: it moves no money,
//! keeps its own records, and sends signed events like any other provider.

pub mod provider;
pub mod simulated;
pub mod stripe_customers;

use domain::payments::{FIRST_LOOK, PaymentPurpose, PaymentStatus};
use domain::{AppError, Money, PaymentId, Timestamp, UserId, WorkspaceId, internal};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, Set};

use crate::auth::Actor;
use crate::db::entity::{self, payment};
use crate::db::{Db, Tx};
use crate::payments::provider::Order;

/// A payment, as its row says.
pub use crate::db::entity::payment::Model as PaymentRow;

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
pub async fn by_intent(db: &Db, intent: &str) -> Result<Option<PaymentId>, AppError> {
    let payment = entity::Payment::find()
        .filter(payment::Column::IntentId.eq(intent))
        .one(db.read())
        .await?;
    Ok(payment.map(|payment| payment.id))
}

pub fn purpose(payment: &payment::Model) -> Result<PaymentPurpose, AppError> {
    serde_json::from_value(payment.purpose.clone()).map_err(|error| internal("a payment", &error))
}

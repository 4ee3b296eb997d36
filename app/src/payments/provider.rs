//! The port: what Wheelhouse asks of whoever collects the money.

use std::fmt::Debug;

use sea_orm::prelude::async_trait::async_trait;

use super::model::PaymentStatus;
use super::reversals::Reversal;
use crate::context::AppContext;
use crate::db::entity::payment;
use crate::domain::{AppError, Money, PaymentId, Secret, WorkspaceId};

/// What is to be paid.
#[derive(Clone, Debug)]
pub struct Order {
    /// The provider is asked with it as the idempotency key: asked again, it answers with the same page.
    pub payment: PaymentId,
    /// Whose card it is, where one is kept.
    pub workspace: WorkspaceId,
    /// Whether the card is to be kept, so that it can be charged again without asking.
    pub keeps_card: bool,
    pub amount: Money,
    pub description: String,
    /// Where the buyer comes back to, paid or not: a path of ours.
    pub return_path: String,
}

/// A page of the provider.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// The provider's name for it.
    pub id: String,
    /// A path of ours, or an address elsewhere.
    pub url: String,
}

/// What became of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentOutcome {
    pub status: PaymentStatus,
    /// How much was charged, where that is said.
    pub charged: Option<Money>,
}

impl From<PaymentStatus> for PaymentOutcome {
    fn from(status: PaymentStatus) -> Self {
        Self {
            status,
            charged: None,
        }
    }
}

/// What became of paying back.
#[derive(Clone, Debug)]
pub struct Refunded {
    pub refund: Reversal,
    /// How much of the payment was paid back in all.
    pub total: Money,
}

/// What the provider calls a payment of which it tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    pub intent: Option<String>,
    pub charge: Option<String>,
}

/// Whoever collects the money.
#[async_trait]
pub trait Provider: Debug + Send + Sync {
    /// A page on which the buyer pays.
    async fn checkout(&self, ctx: &AppContext, order: &Order) -> Result<Checkout, AppError>;

    /// Charges the card that was kept, without asking. Where there is none, that is declined.
    async fn charge(&self, ctx: &AppContext, order: &Order) -> Result<PaymentOutcome, AppError>;

    /// A page on which the kept card is managed. Whoever leaves it comes back to `return_path`.
    async fn manage(
        &self,
        ctx: &AppContext,
        workspace: WorkspaceId,
        return_path: &str,
    ) -> Result<String, AppError>;

    /// What became of a payment, as the provider's books say; nothing where they know of none.
    async fn fetch_status(
        &self,
        ctx: &AppContext,
        payment: &payment::Model,
    ) -> Result<Option<PaymentOutcome>, AppError>;

    /// Pays back a part of what was paid, or all of it. Asked again with the same `once`, nothing more is paid back.
    async fn refund(
        &self,
        ctx: &AppContext,
        payment: &payment::Model,
        amount: Money,
        once: &str,
    ) -> Result<Refunded, AppError>;

    /// Which payment it calls so; nothing where that is none of ours.
    async fn whose(
        &self,
        _house: &AppContext,
        _reference: &Reference,
    ) -> Result<Option<PaymentId>, AppError> {
        Ok(None)
    }

    /// What its events are signed with.
    fn signing_secret(&self, ctx: &AppContext) -> Secret;

    /// Scheme and host of its pages, where they are not ours: forms may lead there.
    fn origins(&self) -> &[String] {
        &[]
    }

    /// Forgets the cards of workspaces that are gone.
    async fn delete_orphaned_customers(&self, _house: &AppContext) -> Result<(), AppError> {
        Ok(())
    }
}

/// The error for a provider that gives no usable answer. The payment's status is fetched again later.
pub fn out_of_reach() -> AppError {
    AppError::Conflict(
        "We couldn't reach the payment provider. Try again in a minute. If you were charged, it will show up here."
            .to_owned(),
    )
}

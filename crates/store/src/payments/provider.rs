//! The payment provider interface: the operations that Wheelhouse needs to collect money.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::payments::{PaymentStatus, ReversalKind, ReversalStatus};
use domain::{AppError, Money, PaymentId, Secret, Timestamp, WorkspaceId};

use crate::db::Db;
use crate::db::entity::payment;

/// What a provider gets of the installation.
#[derive(Clone, Copy, Debug)]
pub struct ProviderContext<'a> {
    db: &'a Db,
    public_url: &'a str,
}

impl<'a> ProviderContext<'a> {
    pub fn new(db: &'a Db, public_url: &'a str) -> Self {
        Self { db, public_url }
    }

    pub fn db(self) -> &'a Db {
        self.db
    }

    /// The external URL of a path.
    pub fn url(self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }
}

/// A refund or a dispute, as the provider reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// The provider's ID of the refund or dispute.
    pub id: String,
    pub kind: ReversalKind,
    pub status: ReversalStatus,
    pub amount: Money,
    /// By the provider's clock: when it began, and when it was reported.
    pub begun_at: Timestamp,
    pub reported_at: Timestamp,
}

/// A payment to collect.
#[derive(Clone, Debug)]
pub struct Order {
    /// Sent as the idempotency key: a repeated request returns the same page.
    pub payment: PaymentId,
    /// The owner of the card, if one is saved.
    pub workspace: WorkspaceId,
    /// Whether to save the card, so that it can be charged again automatically.
    pub keeps_card: bool,
    pub amount: Money,
    pub description: String,
    /// The path that the buyer returns to, paid or not.
    pub return_path: String,
}

/// A page of the provider.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// The provider's ID of the page.
    pub id: String,
    /// A path of this server, or an external URL.
    pub url: String,
}

/// The outcome of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentOutcome {
    pub status: PaymentStatus,
    /// The charged amount, if known.
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

/// The result of a refund.
#[derive(Clone, Debug)]
pub struct Refunded {
    pub refund: Reversal,
    /// The total refunded amount of the payment.
    pub total: Money,
}

/// The provider's IDs of a payment that an event concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    pub intent: Option<String>,
    pub charge: Option<String>,
}

/// A payment provider.
#[async_trait]
pub trait Provider: Debug + Send + Sync {
    /// Creates a page on which the buyer pays.
    async fn checkout(&self, ctx: ProviderContext<'_>, order: &Order)
    -> Result<Checkout, AppError>;

    /// Charges the saved card automatically. Without a saved card, the charge is declined.
    async fn charge(
        &self,
        ctx: ProviderContext<'_>,
        order: &Order,
    ) -> Result<PaymentOutcome, AppError>;

    /// A page on which the saved card is managed. It leads back to `return_path`.
    async fn manage(
        &self,
        ctx: ProviderContext<'_>,
        workspace: WorkspaceId,
        return_path: &str,
    ) -> Result<String, AppError>;

    /// The provider's status of a payment. `None` if the provider does not know it.
    async fn fetch_status(
        &self,
        ctx: ProviderContext<'_>,
        payment: &payment::Model,
    ) -> Result<Option<PaymentOutcome>, AppError>;

    /// Refunds a payment in part or in full. A repeated call with the same `once` refunds nothing more.
    async fn refund(
        &self,
        ctx: ProviderContext<'_>,
        payment: &payment::Model,
        amount: Money,
        once: &str,
    ) -> Result<Refunded, AppError>;

    /// The payment with these provider IDs. `None` if it is not one of ours.
    async fn whose(
        &self,
        _ctx: ProviderContext<'_>,
        _reference: &Reference,
    ) -> Result<Option<PaymentId>, AppError> {
        Ok(None)
    }

    /// The secret that signs the provider's events.
    fn signing_secret(&self) -> Secret;

    /// Scheme and host of the provider's external pages, which forms can redirect to.
    fn origins(&self) -> &[String] {
        &[]
    }

    /// Deletes the saved cards of deleted workspaces.
    async fn delete_orphaned_customers(&self, _ctx: ProviderContext<'_>) -> Result<(), AppError> {
        Ok(())
    }
}

/// The error when a provider gives no usable response. The payment's status is fetched again later.
pub fn out_of_reach() -> AppError {
    AppError::Conflict(
        "We couldn't reach the payment provider. Try again in a minute. If you were charged, it will show up here."
            .to_owned(),
    )
}

//! A leased delivery, and what can become of it.

use domain::{DeliveryId, Timestamp, WebhookId, WorkspaceId};
use sea_orm::prelude::Uuid;

use crate::webhooks::attempt::AttemptResult;

/// A delivery that this worker has leased.
#[derive(Clone, Debug)]
pub struct Leased {
    pub id: DeliveryId,
    pub webhook: WebhookId,
    pub workspace: WorkspaceId,
    pub lease: Uuid,
    pub attempts: i32,
    pub scheduled_from: i32,
    /// A test delivery: it gets one attempt, and its outcome has no effect.
    pub test: bool,
}

/// The outcome of a leased delivery.
pub enum DeliveryOutcome {
    Attempted(AttemptResult),
    /// Not attempted; due again at this time.
    Later(Timestamp),
    /// Its webhook is no longer enabled.
    Cancelled,
    /// Its event no longer exists, so there is nothing to send.
    Lost,
}

/// An attempt whose outcome counts because the lease was still valid.
pub(super) struct Attempted<'a> {
    pub(super) held: &'a Leased,
    pub(super) report: &'a AttemptResult,
}

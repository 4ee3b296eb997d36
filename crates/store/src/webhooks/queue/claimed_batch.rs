//! The deliveries that one claim leases to a worker, with their webhooks and events.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{AppError, EventId, Timestamp, WebhookId};
use sea_orm::prelude::Uuid;
use sea_orm::{Set, TryIntoModel};

use crate::context::AppContext;
use crate::db::entity;

/// How long a lease lasts: it covers the wait in the queue, the attempt and writing the outcome.
pub const LEASE: Duration = Duration::from_secs(90);

/// The claimed deliveries and their lease.
pub struct ClaimedBatch {
    pub lease: Uuid,
    pub until: Timestamp,
    pub deliveries: Vec<entity::delivery::Model>,
    pub webhooks: Webhooks,
    pub events: Events,
}

impl ClaimedBatch {
    /// Creates an empty batch.
    pub fn new(ctx: &AppContext, now: Timestamp) -> Self {
        Self {
            lease: ctx.leases().token(),
            until: now.after(LEASE),
            deliveries: Vec::new(),
            webhooks: HashMap::new(),
            events: HashMap::new(),
        }
    }

    /// Leases a delivery that is about to be inserted.
    pub fn lease(
        &mut self,
        delivery: &mut entity::delivery::ActiveModel,
        webhook: &Arc<entity::webhook::Model>,
        event: &Arc<entity::event::Model>,
    ) -> Result<(), AppError> {
        delivery.lease_token = Set(Some(self.lease));
        delivery.lease_until = Set(Some(self.until));
        delivery.next_attempt_at = Set(Some(self.until));
        self.deliveries.push(delivery.clone().try_into_model()?);
        self.webhooks
            .entry(webhook.id)
            .or_insert_with(|| webhook.clone());
        self.events.entry(event.id).or_insert_with(|| event.clone());
        Ok(())
    }
}

pub(super) type Webhooks = HashMap<WebhookId, Arc<entity::webhook::Model>>;
pub(super) type Events = HashMap<EventId, Arc<entity::event::Model>>;

//! What a sender of webhooks is given: its client, its delays, and which deliveries it claims.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::WebhookClient;

/// What the sender needs besides the context.
#[derive(Clone)]
pub struct Settings {
    pub client: WebhookClient,
    /// The delays between attempts.
    pub waits: Arc<[Duration]>,
}

/// Which deliveries a sender claims. Handling failing endpoints costs more, and a sender claims nothing while it
/// writes: healthy endpoints have their own sender, so that they do not wait for failing ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueClass {
    /// Deliveries to healthy endpoints, and test deliveries.
    Healthy,
    /// Deliveries to endpoints that fail or have never answered.
    Failing,
    /// All deliveries.
    Both,
}

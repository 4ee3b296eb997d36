//! The public API's schemas for webhooks.

mod forms;
mod requests;
mod schemas;

pub use forms::filter_row;
pub use requests::{WebhookDraft, parse_description, parse_filters, parse_headers, parse_types};
pub use schemas::{
    CreateWebhookRequest, DeliveryAttempt, TestWebhookRequest, UpdateWebhookRequest, Webhook,
    WebhookDelivery, event_types, filters,
};

//! One file per table, with columns in the migration's order. Entities never leave the server: a page shows a view type
//! of its section.

pub mod api_key;
pub mod api_key_scope_use;
pub mod api_request;
pub mod billing_details;
pub mod contact;
pub mod credit_account;
pub mod credit_allocation;
pub mod credit_daily_stat;
pub mod credit_entry;
pub mod credit_grant;
pub mod credit_hold;
pub mod credit_top_up;
pub mod delivery;
pub mod delivery_attempt;
pub mod email_change;
pub mod email_window;
pub mod event;
pub mod flash;
pub mod held_email;
pub mod idempotency_key;
pub mod installation;
pub mod invitation;
pub mod invoice;
pub mod known_network;
pub mod membership;
pub mod notification;
pub mod notification_preference;
pub mod outbox_email;
pub mod payment;
pub mod payment_event;
pub mod payment_reversal;
pub mod process;
pub mod session;
pub mod simulated_card;
pub mod simulated_checkout;
pub mod simulated_event;
pub mod slug_claim;
pub mod stripe_customer;
pub mod subscription;
pub mod token;
pub mod user;
pub mod webhook;
pub mod webhook_hourly_stat;
pub mod workspace;
pub mod workspace_email_window;

pub use api_key::Entity as ApiKey;
pub use api_key_scope_use::Entity as ApiKeyScopeUse;
pub use api_request::Entity as ApiRequest;
pub use billing_details::Entity as BillingDetails;
pub use contact::Entity as Contact;
pub use credit_account::Entity as CreditAccount;
pub use credit_allocation::Entity as CreditAllocation;
pub use credit_daily_stat::Entity as CreditDailyStat;
pub use credit_entry::Entity as CreditEntry;
pub use credit_grant::Entity as CreditGrant;
pub use credit_hold::Entity as CreditHold;
pub use credit_top_up::Entity as CreditTopUp;
pub use delivery::Entity as Delivery;
pub use delivery_attempt::Entity as DeliveryAttempt;
pub use email_change::Entity as EmailChange;
pub use email_window::Entity as EmailWindow;
pub use event::Entity as Event;
pub use flash::Entity as Flash;
pub use held_email::Entity as HeldEmail;
pub use idempotency_key::Entity as IdempotencyKey;
pub use installation::Entity as Installation;
pub use invitation::Entity as Invitation;
pub use invoice::Entity as Invoice;
pub use known_network::Entity as KnownNetwork;
pub use membership::Entity as Membership;
pub use notification::Entity as Notification;
pub use notification_preference::Entity as NotificationPreference;
pub use outbox_email::Entity as OutboxEmail;
pub use payment::Entity as Payment;
pub use payment_event::Entity as PaymentEvent;
pub use payment_reversal::Entity as PaymentReversal;
pub use process::Entity as Process;
pub use session::Entity as Session;
pub use simulated_card::Entity as SimulatedCard;
pub use simulated_checkout::Entity as SimulatedCheckout;
pub use simulated_event::Entity as SimulatedEvent;
pub use slug_claim::Entity as SlugClaim;
pub use stripe_customer::Entity as StripeCustomer;
pub use subscription::Entity as Subscription;
pub use token::Entity as Token;
pub use user::Entity as User;
pub use webhook::Entity as Webhook;
pub use webhook_hourly_stat::Entity as WebhookHourlyStat;
pub use workspace::Entity as Workspace;
pub use workspace_email_window::Entity as WorkspaceEmailWindow;

/// Our keys are not numbers, but sea-orm requires the conversion of every key type.
macro_rules! not_numbers {
    ($($key:ty),* $(,)?) => {$(
        impl sea_orm::TryFromU64 for $key {
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64(stringify!($key)))
            }
        }
    )*};
}

not_numbers!(
    crate::catalog::Category,
    crate::catalog::Channel,
    crate::catalog::Mode,
    crate::catalog::Scope,
    crate::domain::ApiKeyId,
    crate::domain::ApiRequestId,
    crate::domain::AttemptId,
    crate::domain::ContactId,
    crate::domain::CreditEntryId,
    crate::domain::CreditGrantId,
    crate::domain::CreditHoldId,
    crate::domain::DeliveryId,
    crate::domain::EmailChangeId,
    crate::domain::EventId,
    crate::domain::InvitationId,
    crate::domain::EmailId,
    crate::domain::MembershipId,
    crate::domain::NotificationId,
    crate::domain::PaymentId,
    crate::domain::SessionId,
    crate::domain::Slug,
    crate::domain::TokenId,
    crate::domain::UserId,
    crate::domain::WebhookId,
    crate::domain::WorkspaceId,
);

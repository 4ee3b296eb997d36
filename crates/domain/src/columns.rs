//! What sea-orm requires of types that are primary keys.

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
    crate::ApiKeyId,
    crate::ApiRequestId,
    crate::AttemptId,
    crate::ContactId,
    crate::CreditEntryId,
    crate::CreditGrantId,
    crate::CreditHoldId,
    crate::DeliveryId,
    crate::EmailChangeId,
    crate::EventId,
    crate::InvitationId,
    crate::EmailId,
    crate::MembershipId,
    crate::NotificationId,
    crate::PaymentId,
    crate::SessionId,
    crate::Slug,
    crate::TokenId,
    crate::UserId,
    crate::WebhookId,
    crate::WorkspaceId,
);

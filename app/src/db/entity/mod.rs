//! One file a table, columns in the order of the migration. Entities never leave the server: what a page shows is a
//! view type of its section.

pub mod contact;
pub mod email_change;
pub mod event;
pub mod invitation;
pub mod mail;
pub mod membership;
pub mod notification;
pub mod notification_preference;
pub mod session;
pub mod slug_claim;
pub mod token;
pub mod user;
pub mod workspace;

pub use contact::Entity as Contact;
pub use email_change::Entity as EmailChange;
pub use event::Entity as Event;
pub use invitation::Entity as Invitation;
pub use mail::Entity as Mail;
pub use membership::Entity as Membership;
pub use notification::Entity as Notification;
pub use notification_preference::Entity as NotificationPreference;
pub use session::Entity as Session;
pub use slug_claim::Entity as SlugClaim;
pub use token::Entity as Token;
pub use user::Entity as User;
pub use workspace::Entity as Workspace;

/// Our keys are no numbers; sea-orm asks every key type all the same.
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
    crate::catalog::Channel,
    crate::domain::ContactId,
    crate::domain::EmailChangeId,
    crate::domain::EventId,
    crate::domain::InvitationId,
    crate::domain::MailId,
    crate::domain::MembershipId,
    crate::domain::NotificationId,
    crate::domain::SessionId,
    crate::domain::Slug,
    crate::domain::TokenId,
    crate::domain::UserId,
    crate::domain::WorkspaceId,
);

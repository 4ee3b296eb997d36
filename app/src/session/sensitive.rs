//! What takes a fresh sign-in: the one list. Whoever finds a signed-in browser, or steals its session, gets no further than
//! this. The check stands in the functions that do these things, so that it holds on whatever page they are asked for.

use super::SignedInUser;
use super::reauth::ask;
use crate::domain::{AppError, Role};

/// An operation that is refused in a session whose password was given more than 15 minutes ago
/// ([`super::actor::FRESH`]), unless it is given with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitive {
    /// Making somebody Admin or Owner: by invitation, by role, or by taking back that they were not any more. What an
    /// owner is or was is as much.
    GrantRole,
    /// Taking an owner out of the workspace, also oneself.
    RemoveOwner,
    /// Handing over what a workspace's owner has.
    TransferOwnership,
    /// Deleting a workspace or one of its webhooks.
    Delete,
    /// Making an API key, or another in its place.
    CreateApiKey,
    /// Making a webhook, or sending its events elsewhere.
    DirectWebhook,
    /// Showing or changing what a webhook signs with.
    WebhookSecret,
    /// Spending money now or later: credits, plans, automatic top-up, the card that pays.
    Buy,
    /// Taking data out in bulk.
    Export,
    /// Changing how someone signs in: their password, their email address.
    ChangeSignIn,
}

impl Sensitive {
    pub const ALL: [Self; 10] = [
        Self::GrantRole,
        Self::RemoveOwner,
        Self::TransferOwnership,
        Self::Delete,
        Self::CreateApiKey,
        Self::DirectWebhook,
        Self::WebhookSecret,
        Self::Buy,
        Self::Export,
        Self::ChangeSignIn,
    ];

    /// The server functions (by name) and routes (by path) that do it. The tests hold this against all that there are.
    pub const fn done_by(self) -> &'static [&'static str] {
        match self {
            Self::GrantRole => &[
                "invite_members",
                "resend_invitation",
                "undo_cancel_invitation",
                "change_role",
                "undo_change_role",
                "undo_remove_member",
            ],
            Self::RemoveOwner => &["remove_member", "leave_workspace"],
            Self::TransferOwnership => &["transfer_ownership"],
            Self::Delete => &["delete_workspace", "delete_webhook"],
            Self::CreateApiKey => &["create_api_key", "rotate_api_key"],
            Self::DirectWebhook => &["create_webhook", "update_webhook"],
            Self::WebhookSecret => &[
                "show_webhook_secret",
                "rotate_webhook_secret",
                "show_delivery_curl",
            ],
            Self::Buy => &[
                "buy_credits",
                "set_top_up",
                "choose_plan",
                "cancel_subscription",
                "resume_subscription",
                "manage_payment_method",
            ],
            Self::Export => &["/w/{slug}/members.csv", "/w/{slug}/credits.csv"],
            Self::ChangeSignIn => &["update_password", "save_profile"],
        }
    }

    /// Whether giving someone this role, who has that one, is among them.
    pub fn is_grant(from: Option<Role>, to: Role) -> bool {
        to <= Role::Admin || from.is_some_and(Role::is_owner)
    }
}

impl SignedInUser {
    /// Refuses a sensitive operation unless the sign-in is fresh or this request has given the current password; says at
    /// that field what is missing or wrong.
    pub fn require_fresh(&self, operation: Sensitive) -> Result<(), AppError> {
        if self.is_fresh()
            && self
                .presented()
                .outcome()
                .is_none_or(|outcome| outcome.is_ok())
        {
            return Ok(());
        }
        tracing::debug!(?operation, user = %self.id(), "a fresh sign-in is needed");
        self.presented().outcome().unwrap_or_else(|| Err(ask()))
    }
}

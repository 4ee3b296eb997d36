//! The list of operations that need a fresh sign-in. A person who finds a signed-in browser or steals its session
//! cannot do them. The functions that do these operations contain the check, so it applies on every page.

use domain::{AppError, Role};

use super::actor::SignedInUser;

/// The field for the current password.
pub const CURRENT_PASSWORD: &str = "current_password";

/// An operation that is refused if the password was given more than 15 minutes ago
/// ([`super::actor::lifetimes::FRESH`]), unless the request carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitive {
    /// Making someone an admin or owner: by invitation, by role, or by undoing a demotion or removal. Changing an
    /// owner's role counts as well.
    GrantRole,
    /// Removing an owner from the workspace, including oneself.
    RemoveOwner,
    /// Transferring the ownership of a workspace.
    TransferOwnership,
    /// Deleting a workspace or one of its webhooks.
    Delete,
    /// Creating or rotating an API key.
    CreateApiKey,
    /// Creating a webhook, or sending its events elsewhere.
    DirectWebhook,
    /// Showing or changing a webhook's signing secret.
    WebhookSecret,
    /// Spending money now or later: credits, plans, automatic top-up, the payment card.
    Buy,
    /// Exporting data in bulk.
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

    /// The server functions (by name) and routes (by path) that do it. Tests compare this list with all that exist.
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

    /// Whether giving this role to someone who has that one is such an operation.
    pub fn is_grant(from: Option<Role>, to: Role) -> bool {
        to <= Role::Admin || from.is_some_and(Role::is_owner)
    }
}

impl SignedInUser {
    /// Refuses a sensitive operation unless the sign-in is fresh or this request carries the current password. The
    /// error for a missing or wrong password is at that field.
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

/// The error for a missing password, at its field.
pub fn ask() -> AppError {
    AppError::field(CURRENT_PASSWORD, "Enter your current password to continue")
}

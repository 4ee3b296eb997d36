use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    FieldErrors, InvitationId, MembershipId, Role, Secret, Timestamp, WorkspaceId, minutes,
};

/// How long a role change, a removal or a cancelled invitation can be undone.
pub const UNDO: Duration = minutes(5);
/// How many people can be invited in one request.
pub const MAX_AT_ONCE: usize = 50;
/// How many rows a page of a list shows.
pub const PAGE: u64 = 50;

/// The status of an invitation. Cancelled ones are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Pending,
    Expired,
    Accepted,
}

impl Status {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Expired, Self::Accepted];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Accepted => "accepted",
        }
    }

    pub const fn label(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Expired => "Expired",
            Self::Accepted => "Accepted",
        }
    }

    /// From the query parameter; anything else is Pending.
    pub fn parse(text: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .unwrap_or(Self::Pending)
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InviteForm {
    pub workspace: String,
    /// One email address, or several separated by commas or new lines.
    pub email: String,
    pub role: String,
}

impl InviteForm {
    /// The role. The email addresses are checked one by one.
    pub fn role(&self) -> Result<Role, FieldErrors> {
        let mut errors = FieldErrors::new();
        if self.email.trim().is_empty() {
            errors.add("email", "Enter an email address");
        }
        match errors.check("role", self.role.parse::<Role>()) {
            Some(role) if errors.is_empty() && Role::INVITABLE.contains(&role) => Ok(role),
            _ => {
                if errors.is_empty() {
                    errors.add("role", "Choose Admin, Member or Client");
                }
                Err(errors)
            }
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RoleForm {
    pub workspace: String,
    pub member: String,
    pub role: String,
    /// Required to add or remove an owner, unless the sign-in is recent.
    pub current_password: Secret,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersView {
    pub workspace: WorkspaceId,
    pub may_invite: bool,
    pub may_export: bool,
    /// Whether invitations are emailed; if not, their links have to be shared by hand.
    pub sends_mail: bool,
    pub status: Status,
    /// How many invitations there are of each status, in the order of [`Status::ALL`].
    pub counts: [u64; 3],
    pub invitations: Vec<InvitationRow>,
    /// The cursor of the next page of invitations: those before this one.
    pub invitations_next: Option<InvitationId>,
    pub members: Vec<MemberRow>,
    pub member_count: u64,
    /// The cursor of the next page of members.
    pub next: Option<MembershipId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InvitationRow {
    pub id: InvitationId,
    pub email: String,
    pub role: Role,
    pub invited_by: String,
    pub sent_at: Timestamp,
    /// When it expires, expired, or was accepted.
    pub at: Timestamp,
    /// The full URL of its page, for Copy Link; none once accepted.
    pub link: Option<String>,
    /// The link can be copied only after the current password is confirmed.
    pub locked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemberRow {
    pub id: MembershipId,
    pub name: String,
    /// Not for clients.
    pub email: Option<String>,
    pub role: Role,
    pub joined_at: Timestamp,
    pub last_active_at: Option<Timestamp>,
    pub is_self: bool,
    /// The roles that the viewer can give this member; empty if they can neither change nor remove them.
    pub may_grant: Vec<Role>,
    /// Invitations they sent, which stop working when they are removed.
    pub open_invitations: u64,
    /// Names of API keys they created, which keep working when they are removed.
    pub keys_made: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_invited_as_anything_but_owner() {
        let form = |role: &str| InviteForm {
            email: "x@y.example".into(),
            role: role.into(),
            ..InviteForm::default()
        };
        assert_eq!(form("client").role(), Ok(Role::Client));
        assert!(form("owner").role().unwrap_err().get("role").is_some());
        assert!(form("").role().unwrap_err().get("role").is_some());
        assert!(
            InviteForm::default()
                .role()
                .unwrap_err()
                .get("email")
                .is_some()
        );
    }
}

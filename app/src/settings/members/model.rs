use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{
    FieldErrors, InvitationId, MembershipId, Role, Secret, Timestamp, WorkspaceId, minutes,
};

/// How long a role change, a removal or a cancelled invitation can be taken back.
pub const UNDO: Duration = minutes(5);
/// How many people can be invited at once.
pub const MAX_AT_ONCE: usize = 50;
/// How many rows a list shows at once.
pub const PAGE: u64 = 50;

/// What became of an invitation. Cancelled ones are shown nowhere.
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

    /// As it stands in the address; anything else is Pending.
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
    /// One address, or several as they are pasted.
    pub email: String,
    pub role: String,
}

impl InviteForm {
    /// The role; the addresses are judged one by one.
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
    /// Asked for where an owner is made or unmade, unless the sign-in is fresh.
    pub current_password: Secret,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersView {
    pub workspace: WorkspaceId,
    pub may_invite: bool,
    pub may_export: bool,
    /// Whether invitations go out by mail; if not, their links are handed over by hand.
    pub sends_mail: bool,
    pub status: Status,
    /// How many invitations there are of each status, in the order of [`Status::ALL`].
    pub counts: [u64; 3],
    pub invitations: Vec<InvitationRow>,
    /// Where the next page of invitations begins: before this one.
    pub invitations_next: Option<InvitationId>,
    pub members: Vec<MemberRow>,
    pub member_count: u64,
    /// Where the next page of members begins.
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
    /// The full address of its page, for Copy Link; nothing once accepted.
    pub link: Option<String>,
    /// The link can be copied once the current password is given.
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
    /// The roles that the one who looks may give this member; none where they may neither change nor remove them.
    pub may_grant: Vec<Role>,
    /// Invitations of theirs that stop working when they are removed.
    pub open_invitations: u64,
    /// Names of API keys that they made and that go on working when they are removed.
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

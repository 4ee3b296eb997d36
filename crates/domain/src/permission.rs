//! Permissions: which role can do what, in one table.

use serde::{Deserialize, Serialize};

use super::role::Role;

/// Something that a role allows. Your own account, preferences, inbox and leaving need no permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// See the workspace's name, URL and members.
    ReadWorkspace,
    /// See members' email addresses.
    SeeMemberEmails,
    ReadContacts,
    WriteContacts,
    /// Report what happened in the product.
    ReportEvents,
    /// See balance and usage.
    SeeCredits,
    SpendCredits,
    /// Change the workspace's name and URL.
    EditWorkspace,
    /// Invite, resend, cancel, copy an invitation's link.
    InviteMembers,
    /// Change roles and remove members, except owners; making owners is not included.
    ManageMembers,
    /// See and change billing, buy credits.
    ManageBilling,
    ManageApiKeys,
    ManageWebhooks,
    SeeAuditLog,
    /// Make and demote owners, delete the workspace.
    OwnWorkspace,
}

impl Role {
    /// Whether this role includes `permission`.
    pub fn may(self, permission: Permission) -> bool {
        self <= permission.least()
    }
}

impl Permission {
    pub const ALL: [Self; 15] = [
        Self::ReadWorkspace,
        Self::SeeMemberEmails,
        Self::ReadContacts,
        Self::WriteContacts,
        Self::ReportEvents,
        Self::SeeCredits,
        Self::SpendCredits,
        Self::EditWorkspace,
        Self::InviteMembers,
        Self::ManageMembers,
        Self::ManageBilling,
        Self::ManageApiKeys,
        Self::ManageWebhooks,
        Self::SeeAuditLog,
        Self::OwnWorkspace,
    ];

    /// Whether a frozen workspace refuses it. Billing stays possible, because paying unfreezes the workspace.
    pub const fn is_lost_when_frozen(self) -> bool {
        match self {
            Self::ReadWorkspace
            | Self::SeeMemberEmails
            | Self::ReadContacts
            | Self::SeeCredits
            | Self::SeeAuditLog
            | Self::ManageBilling => false,
            Self::WriteContacts
            | Self::ReportEvents
            | Self::SpendCredits
            | Self::EditWorkspace
            | Self::InviteMembers
            | Self::ManageMembers
            | Self::ManageApiKeys
            | Self::ManageWebhooks
            | Self::OwnWorkspace => true,
        }
    }

    /// The lowest role that includes it; every higher role does too.
    const fn least(self) -> Role {
        match self {
            Self::ReadWorkspace | Self::ReadContacts => Role::Client,
            Self::SeeMemberEmails
            | Self::WriteContacts
            | Self::ReportEvents
            | Self::SeeCredits
            | Self::SpendCredits => Role::Member,
            Self::EditWorkspace
            | Self::InviteMembers
            | Self::ManageMembers
            | Self::ManageBilling
            | Self::ManageApiKeys
            | Self::ManageWebhooks
            | Self::SeeAuditLog => Role::Admin,
            Self::OwnWorkspace => Role::Owner,
        }
    }

    /// Who can help someone without it, as the end of a sentence.
    pub const fn who_can_help(self) -> &'static str {
        match self.least() {
            Role::Owner => "an owner of this workspace",
            Role::Admin => "an owner or admin of this workspace",
            Role::Member | Role::Client => "a member of this workspace",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        let mut table = String::new();
        for permission in Permission::ALL {
            let row: String = Role::ALL
                .iter()
                .map(|role| if role.may(permission) { 'x' } else { '.' })
                .collect();
            table += &format!("{row} {permission:?}\n");
        }
        assert_eq!(
            table,
            "\
xxxx ReadWorkspace
xxx. SeeMemberEmails
xxxx ReadContacts
xxx. WriteContacts
xxx. ReportEvents
xxx. SeeCredits
xxx. SpendCredits
xx.. EditWorkspace
xx.. InviteMembers
xx.. ManageMembers
xx.. ManageBilling
xx.. ManageApiKeys
xx.. ManageWebhooks
xx.. SeeAuditLog
x... OwnWorkspace
"
        );
    }
}

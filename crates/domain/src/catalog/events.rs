//! Event types, the categories they are filed under, and the channels that carry them.

use super::string_enum::string_enum;
use crate::Permission;

string_enum! {
    /// A row of the notification matrix.
    Category {
        System = "system",
        Automations = "automations",
        Contacts = "contacts",
        Workspace = "workspace",
        Security = "security",
        Billing = "billing",
    }
}

string_enum! {
    /// Production or development. Keys and what they touch are of one mode and never see the other.
    Mode {
        Live = "live",
        Test = "test",
    }
}

impl Mode {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Live => "Live",
            Self::Test => "Test",
        }
    }
}

string_enum! {
    /// A column of the notification matrix.
    Channel {
        InApp = "in_app",
        Email = "email",
    }
}

impl Category {
    pub const fn label(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Automations => "Automations",
            Self::Contacts => "Contacts",
            Self::Workspace => "Workspace",
            Self::Security => "Security",
            Self::Billing => "Billing",
        }
    }

    pub const fn description(self) -> &'static str {
        match self {
            Self::System => "System updates and technical notifications",
            Self::Automations => "Automation and sequence events",
            Self::Contacts => "Changes to contacts",
            Self::Workspace => "Workspace changes (members, settings)",
            Self::Security => "Security events (login, password change)",
            Self::Billing => "Payment, plan updates, credit usage",
        }
    }

    /// Whether `channel` is on until someone turns it off: In-app for everything, Email where missing it costs.
    pub fn default_on(self, channel: Channel) -> bool {
        channel == Channel::InApp || matches!(self, Self::Security | Self::Billing)
    }
}

impl Channel {
    pub const fn label(self) -> &'static str {
        match self {
            Self::InApp => "In-app",
            Self::Email => "Email",
        }
    }
}

/// The table of event types: name, category, what one must be allowed to see to be told, and how it reads.
macro_rules! event_types {
    ($($variant:ident = $text:literal, $category:ident, $permission:ident, $label:literal;)*) => {
        string_enum! {
            /// What can happen. The text is the type on the wire.
            EventType { $($variant = $text),* }
        }

        impl EventType {
            pub const fn category(self) -> Category {
                match self { $(Self::$variant => Category::$category,)* }
            }

            /// A member is told of an event only if their role includes this.
            pub const fn required_permission(self) -> Permission {
                match self { $(Self::$variant => Permission::$permission,)* }
            }

            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }
    };
}

event_types! {
    SystemAnnouncement = "system.announcement", System, ReadWorkspace, "Announcement";
    SystemMaintenanceScheduled = "system.maintenance_scheduled", System, ReadWorkspace, "Maintenance scheduled";
    SystemIncident = "system.incident", System, ReadWorkspace, "Incident";
    AutomationStarted = "automation.started", Automations, WriteContacts, "Automation started";
    AutomationCompleted = "automation.completed", Automations, WriteContacts, "Automation completed";
    AutomationFailed = "automation.failed", Automations, WriteContacts, "Automation failed";
    SequenceReplied = "sequence.replied", Automations, WriteContacts, "Sequence reply received";
    SequenceFinished = "sequence.finished", Automations, WriteContacts, "Sequence finished";
    ContactCreated = "contact.created", Contacts, ReadContacts, "Contact created";
    ContactUpdated = "contact.updated", Contacts, ReadContacts, "Contact updated";
    ContactDeleted = "contact.deleted", Contacts, ReadContacts, "Contact deleted";
    ContactStageChanged = "contact.stage_changed", Contacts, ReadContacts, "Contact stage changed";
    ContactTagged = "contact.tagged", Contacts, ReadContacts, "Contact tagged";
    WorkspaceCreated = "workspace.created", Workspace, ReadWorkspace, "Workspace created";
    WorkspaceRenamed = "workspace.renamed", Workspace, ReadWorkspace, "Workspace renamed";
    WorkspaceUrlChanged = "workspace.url_changed", Workspace, ReadWorkspace, "Workspace URL changed";
    WorkspaceDeleted = "workspace.deleted", Workspace, ReadWorkspace, "Workspace deleted";
    MemberInvited = "member.invited", Workspace, InviteMembers, "Member invited";
    MemberJoined = "member.joined", Workspace, ReadWorkspace, "Member joined";
    MemberRoleChanged = "member.role_changed", Workspace, ReadWorkspace, "Member role changed";
    MemberRemoved = "member.removed", Workspace, ReadWorkspace, "Member removed";
    InvitationResent = "invitation.resent", Workspace, InviteMembers, "Invitation resent";
    InvitationCancelled = "invitation.cancelled", Workspace, InviteMembers, "Invitation cancelled";
    SecuritySignedIn = "security.signed_in", Security, ReadWorkspace, "Signed in";
    SecurityPasswordChanged = "security.password_changed", Security, ReadWorkspace, "Password changed";
    SecurityEmailChanged = "security.email_changed", Security, ReadWorkspace, "Email address changed";
    SecuritySessionsEnded = "security.sessions_ended", Security, ReadWorkspace, "Sessions ended";
    ApiKeyCreated = "api_key.created", Security, ManageApiKeys, "API key created";
    ApiKeyUpdated = "api_key.updated", Security, ManageApiKeys, "API key updated";
    ApiKeyRotated = "api_key.rotated", Security, ManageApiKeys, "API key rotated";
    ApiKeyRevoked = "api_key.revoked", Security, ManageApiKeys, "API key revoked";
    WebhookCreated = "webhook.created", Security, ManageWebhooks, "Webhook created";
    WebhookUpdated = "webhook.updated", Security, ManageWebhooks, "Webhook updated";
    WebhookDisabled = "webhook.disabled", Security, ManageWebhooks, "Webhook disabled";
    WebhookDeleted = "webhook.deleted", Security, ManageWebhooks, "Webhook deleted";
    BillingPlanChanged = "billing.plan_changed", Billing, ManageBilling, "Plan changed";
    BillingPaymentSucceeded = "billing.payment_succeeded", Billing, ManageBilling, "Payment succeeded";
    BillingPaymentFailed = "billing.payment_failed", Billing, ManageBilling, "Payment failed";
    BillingPaymentRefunded = "billing.payment_refunded", Billing, ManageBilling, "Payment refunded";
    BillingTrialEnding = "billing.trial_ending", Billing, ManageBilling, "Trial ending soon";
    BillingTrialEnded = "billing.trial_ended", Billing, ManageBilling, "Trial ended";
    BillingCdrModeChanged = "billing.cdr_mode_changed", Billing, ManageBilling, "CDR Mode changed";
    BillingDetailsChanged = "billing.details_changed", Billing, ManageBilling, "Billing details changed";
    CreditsPurchased = "credits.purchased", Billing, SeeCredits, "Credits purchased";
    CreditsGranted = "credits.granted", Billing, SeeCredits, "Credits granted";
    CreditsSpent = "credits.spent", Billing, SeeCredits, "Credits spent";
    CreditsLow = "credits.low", Billing, SeeCredits, "Credits running low";
    CreditsWarningChanged = "credits.warning_changed", Billing, SeeCredits, "Low-balance alert changed";
    CreditsTopUpChanged = "credits.top_up_changed", Billing, SeeCredits, "Auto top-up changed";
    CreditsReserved = "credits.reserved", Billing, SeeCredits, "Credits reserved";
    CreditsReleased = "credits.released", Billing, SeeCredits, "Credits released";
    CreditsRefunded = "credits.refunded", Billing, SeeCredits, "Credits refunded";
    CreditsExpired = "credits.expired", Billing, SeeCredits, "Credits expired";
}

impl EventType {
    /// High-volume types: off unless someone turns them on.
    pub const QUIET: [Self; 5] = [
        Self::ContactUpdated,
        Self::CreditsSpent,
        Self::CreditsReserved,
        Self::CreditsReleased,
        Self::CreditsExpired,
    ];

    pub fn is_quiet(self) -> bool {
        Self::QUIET.contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for event in EventType::ALL {
            assert_eq!(event.as_str().parse(), Ok(event));
            assert_eq!(
                serde_json::to_string(&event).unwrap(),
                format!("{:?}", event.as_str())
            );
        }
        assert!("contact.exploded".parse::<EventType>().is_err());
    }

    #[test]
    fn in_app_is_on_for_all_and_email_for_security_and_billing() {
        let email: Vec<_> = Category::ALL
            .into_iter()
            .filter(|c| c.default_on(Channel::Email))
            .collect();
        assert_eq!(email, [Category::Security, Category::Billing]);
        assert!(
            Category::ALL
                .into_iter()
                .all(|c| c.default_on(Channel::InApp))
        );
    }
}

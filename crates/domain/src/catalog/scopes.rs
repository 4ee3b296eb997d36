//! Scopes: what an API key may be allowed, one resource and one direction each.

use super::string_enum::string_enum;
use crate::Permission;

string_enum! {
    /// A heading under which scopes are offered.
    ScopeGroup {
        Messaging = "messaging",
        Organization = "organization",
        Pipeline = "pipeline",
        Automations = "automations",
        Companies = "companies",
        Settings = "settings",
        Platform = "platform",
    }
}

impl ScopeGroup {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Messaging => "Contacts & Messaging",
            Self::Organization => "Organization",
            Self::Pipeline => "Pipeline & Tasks",
            Self::Automations => "Automations",
            Self::Companies => "Companies & Analytics",
            Self::Settings => "Settings",
            Self::Platform => "Platform",
        }
    }

    pub fn scopes(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| scope.group() == self)
    }
}

/// The table of scopes: name on the wire, group, and how it reads on screen.
macro_rules! scopes {
    ($($variant:ident = $text:literal, $group:ident, $label:literal;)*) => {
        string_enum! {
            /// What a key may be allowed. The text is the scope on the wire.
            Scope { $($variant = $text),* }
        }

        impl Scope {
            pub const fn group(self) -> ScopeGroup {
                match self { $(Self::$variant => ScopeGroup::$group,)* }
            }

            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }
    };
}

scopes! {
    ContactsRead = "contacts:read", Messaging, "Read Contacts";
    ContactsWrite = "contacts:write", Messaging, "Write Contacts";
    MessagesRead = "messages:read", Messaging, "Read Messages";
    MessagesWrite = "messages:write", Messaging, "Write Messages";
    ProjectsRead = "projects:read", Organization, "Read Projects";
    ProjectsWrite = "projects:write", Organization, "Write Projects";
    ListsRead = "lists:read", Organization, "Read Lists";
    ListsWrite = "lists:write", Organization, "Write Lists";
    TagsRead = "tags:read", Organization, "Read Tags";
    TagsWrite = "tags:write", Organization, "Write Tags";
    PipelinesRead = "pipelines:read", Pipeline, "Read Pipelines";
    PipelinesWrite = "pipelines:write", Pipeline, "Write Pipelines";
    TasksRead = "tasks:read", Pipeline, "Read Tasks";
    TasksWrite = "tasks:write", Pipeline, "Write Tasks";
    AutomationsRead = "automations:read", Automations, "Read Automations";
    AutomationsWrite = "automations:write", Automations, "Write Automations";
    CompaniesRead = "companies:read", Companies, "Read Companies";
    CompaniesWrite = "companies:write", Companies, "Write Companies";
    AnalyticsRead = "analytics:read", Companies, "Read Analytics";
    SenderProfilesRead = "sender_profiles:read", Settings, "Read Sender Profiles";
    SenderProfilesWrite = "sender_profiles:write", Settings, "Write Sender Profiles";
    WebhooksWrite = "webhooks:write", Settings, "Manage Webhooks";
    EventsWrite = "events:write", Platform, "Write Events";
    CreditsRead = "credits:read", Platform, "Read Credits";
    CreditsWrite = "credits:write", Platform, "Spend Credits";
    MembersRead = "members:read", Platform, "Read Members";
    KeysVerify = "keys:verify", Platform, "Verify Keys";
}

impl Scope {
    /// Whether it changes nothing.
    pub fn is_read(self) -> bool {
        self.as_str().ends_with(":read")
    }

    /// What one must be allowed to do to give a key this scope, and what a key with it is allowed here. The product's
    /// own scopes are enforced there: to grant them one must be allowed to make keys, and nothing more.
    pub const fn permission(self) -> Permission {
        match self {
            Self::ContactsRead => Permission::ReadContacts,
            Self::ContactsWrite => Permission::WriteContacts,
            Self::WebhooksWrite => Permission::ManageWebhooks,
            Self::EventsWrite => Permission::ReportEvents,
            Self::CreditsRead => Permission::SeeCredits,
            Self::CreditsWrite => Permission::SpendCredits,
            Self::MembersRead => Permission::SeeMemberEmails,
            _ => Permission::ManageApiKeys,
        }
    }

    /// Whether a key with this scope is allowed `permission` in this installation. A key never makes keys.
    pub fn grants(self, permission: Permission) -> bool {
        let own = self.permission();
        (own == permission && own != Permission::ManageApiKeys)
            || (self == Self::MembersRead && permission == Permission::ReadWorkspace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_products_22_scopes_and_the_platforms_own() {
        let counts = ScopeGroup::ALL.map(|group| group.scopes().count());
        assert_eq!(counts, [4, 6, 4, 2, 3, 3, 5]);
    }

    #[test]
    fn names_read_back_and_say_their_direction() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(
                scope.is_read(),
                scope.label().starts_with("Read "),
                "{scope}"
            );
        }
    }

    #[test]
    fn no_scope_lets_a_key_do_what_is_left_to_people() {
        for scope in Scope::ALL {
            for permission in [
                Permission::ManageApiKeys,
                Permission::ManageMembers,
                Permission::InviteMembers,
                Permission::ManageBilling,
                Permission::EditWorkspace,
                Permission::OwnWorkspace,
                Permission::SeeAuditLog,
            ] {
                assert!(!scope.grants(permission), "{scope} grants {permission:?}");
            }
        }
    }
}

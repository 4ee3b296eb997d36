//! The settings area: one list of its sections, which makes the navigation, the routes and the tests, and a folder
//! for each.

pub mod account;
pub mod api_keys;
pub mod billing;
pub mod credits;
pub mod members;
pub mod notifications;
pub mod webhooks;
pub mod workspace;

use domain::{Permission, Role};

use crate::ui::Icon;

/// A group of the settings navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Personal,
    Workspace,
    Developer,
}

impl Group {
    pub const ALL: [Self; 3] = [Self::Personal, Self::Workspace, Self::Developer];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Personal => "You",
            Self::Workspace => "Workspace",
            Self::Developer => "DEVELOPER",
        }
    }
}

/// A section of the settings area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its place in the address, behind `/w/{slug}/settings/`.
    pub path: &'static str,
    pub label: &'static str,
    pub icon: Icon,
    pub group: Group,
    /// What one must be allowed to do to see it; nothing for the person's own pages.
    pub permission: Option<Permission>,
}

impl Section {
    pub fn is_for(&self, role: Role) -> bool {
        self.permission
            .is_none_or(|permission| role.may(permission))
    }
}

/// Every section, in the order of the navigation.
pub const SECTIONS: [Section; 8] = [
    Section {
        path: "account",
        label: "Account",
        icon: Icon::User,
        group: Group::Personal,
        permission: None,
    },
    Section {
        path: "notifications",
        label: "Notifications",
        icon: Icon::Bell,
        group: Group::Personal,
        permission: None,
    },
    Section {
        path: "workspace",
        label: "Workspace",
        icon: Icon::Building,
        group: Group::Workspace,
        permission: Some(Permission::ReadWorkspace),
    },
    Section {
        path: "members",
        label: "Members",
        icon: Icon::Users,
        group: Group::Workspace,
        permission: Some(Permission::ReadWorkspace),
    },
    Section {
        path: "billing",
        label: "Billing",
        icon: Icon::CreditCard,
        group: Group::Workspace,
        permission: Some(Permission::ManageBilling),
    },
    Section {
        path: "credits",
        label: "Credits",
        icon: Icon::Coins,
        group: Group::Workspace,
        permission: Some(Permission::SeeCredits),
    },
    Section {
        path: "api-keys",
        label: "API Keys",
        icon: Icon::Key,
        group: Group::Developer,
        permission: Some(Permission::ManageApiKeys),
    },
    Section {
        path: "webhooks",
        label: "Webhooks",
        icon: Icon::Zap,
        group: Group::Developer,
        permission: Some(Permission::ManageWebhooks),
    },
];

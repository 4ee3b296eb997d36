//! Roles of members in a workspace.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A member's role, from the most powerful to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "server", derive(sea_orm::DeriveValueType))]
#[cfg_attr(feature = "server", sea_orm(value_type = "String"))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub enum Role {
    Owner,
    Admin,
    Member,
    Client,
}

/// A text that is not a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleError;

impl fmt::Display for RoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Choose a role")
    }
}

impl std::error::Error for RoleError {}

impl Role {
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Member, Self::Client];
    /// The roles that an invitation can have.
    pub const INVITABLE: [Self; 3] = [Self::Admin, Self::Member, Self::Client];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Client => "client",
        }
    }

    pub const fn label(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Admin => "Admin",
            Self::Member => "Member",
            Self::Client => "Client",
        }
    }

    /// The role as a noun in a sentence: "an admin".
    pub const fn with_article(self) -> &'static str {
        match self {
            Self::Owner => "an owner",
            Self::Admin => "an admin",
            Self::Member => "a member",
            Self::Client => "a client",
        }
    }

    pub const fn description(self) -> &'static str {
        match self {
            Self::Owner => "Full access, plus managing owners and deleting the workspace",
            Self::Admin => "Full access to settings, billing and team members",
            Self::Member => "Access to pipeline, contacts, automations",
            Self::Client => "Limited access, view only",
        }
    }

    pub fn is_owner(self) -> bool {
        self == Self::Owner
    }

    /// Whether this role can change the role of, or remove, a member with the role `target`.
    pub fn can_administer(self, target: Self) -> bool {
        match self {
            Self::Owner => true,
            Self::Admin => !target.is_owner(),
            Self::Member | Self::Client => false,
        }
    }

    /// Whether this role can give `role` to someone else. Nobody grants a role above their own.
    pub fn may_grant(self, role: Self) -> bool {
        self.can_administer(role)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(RoleError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_but_an_owner_touches_or_makes_an_owner() {
        for role in Role::ALL {
            assert_eq!(role.can_administer(Role::Owner), role == Role::Owner);
            assert_eq!(role.may_grant(Role::Owner), role == Role::Owner);
            assert_eq!(role.may_grant(Role::Client), role <= Role::Admin);
        }
    }

    #[test]
    fn text_and_back() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{MembershipId, Role, Secret, Slug, Timestamp, WorkspaceId, days};

/// How long an address that a workspace gave up leads to it and is given to nobody else.
pub const SLUG_HOLD: Duration = days(90);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NameForm {
    pub workspace: String,
    pub name: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SlugForm {
    pub workspace: String,
    pub slug: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewWorkspaceForm {
    pub name: String,
    pub slug: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaveForm {
    pub workspace: String,
    pub slug: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TransferForm {
    pub workspace: String,
    pub member: String,
    pub slug: String,
    pub current_password: Secret,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeleteForm {
    pub workspace: String,
    pub slug: String,
    pub current_password: Secret,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceView {
    pub id: WorkspaceId,
    pub name: String,
    pub slug: Slug,
    pub role: Role,
    pub may_edit: bool,
    /// Addresses given up that still lead here, and until when.
    pub former: Vec<(Slug, Timestamp)>,
    /// Whether there is no other owner, so that leaving is impossible.
    pub last_owner: bool,
    /// Whom it can be handed to; for owners alone.
    pub transfer_candidates: Vec<(MembershipId, String)>,
    pub ask_password: bool,
    /// What would be lost with the workspace: counted for those who may delete it.
    pub members: u64,
    pub contacts: u64,
}

/// What is to be said of an address while it is being typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlugCheck {
    Free,
    Current,
    /// Cannot be had: why, and one that can.
    No {
        reason: String,
        suggestion: Option<Slug>,
    },
}

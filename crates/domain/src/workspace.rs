use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{MembershipId, Role, Secret, Slug, Timestamp, WorkspaceId, days};

/// How long a former slug redirects to its workspace and is reserved for it.
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
pub struct DeleteWorkspaceForm {
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
    /// Former slugs that still redirect here, and until when.
    pub former: Vec<(Slug, Timestamp)>,
    /// Whether this is the only owner, who cannot leave.
    pub last_owner: bool,
    /// Members it can be transferred to; for owners only.
    pub transfer_candidates: Vec<(MembershipId, String)>,
    pub ask_password: bool,
    /// What deleting the workspace removes; counted only for those who can delete it.
    pub members: u64,
    pub contacts: u64,
}

/// The result of checking a slug while it is typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlugCheck {
    Free,
    Current,
    /// Unavailable: the reason, and a slug that is available.
    No {
        reason: String,
        suggestion: Option<Slug>,
    },
}

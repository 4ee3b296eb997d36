//! What the pages of API keys show: the list, one key, and its request log.

use serde::{Deserialize, Serialize};

use super::choices::{Filter, Status};
use crate::catalog::{Mode, Scope};
use crate::{ApiKeyId, ApiRequestId, Slug, Timestamp, WorkspaceId};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysView {
    pub workspace: WorkspaceId,
    pub slug: Slug,
    /// The URL of the public API, for examples.
    pub api: String,
    pub ask_password: bool,
    pub filter: Filter,
    /// The number of keys in each tab, in the order of [`Filter::ALL`].
    pub counts: [u64; 4],
    pub keys: Vec<KeyRow>,
    /// The cursor of the next page.
    pub next: Option<ApiKeyId>,
}

/// A key as the list shows it, with only the first and last characters of the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRow {
    pub id: ApiKeyId,
    pub name: String,
    pub mode: Mode,
    pub start: String,
    pub end: String,
    pub scopes: Vec<Scope>,
    pub created_by: String,
    pub created_at: Timestamp,
    pub last_used: Option<(Timestamp, String)>,
    pub expires_at: Option<Timestamp>,
    pub retires_at: Option<Timestamp>,
    pub status: Status,
    /// It works, but was not used for 90 days.
    pub unused: bool,
    /// The number of scopes it never used, once it is old enough to tell.
    pub idle_scopes: u32,
}

impl KeyRow {
    /// The part that can be shown: `wh_live_Ab12…x9Yz`.
    pub fn hidden(&self) -> String {
        format!("{}…{}", self.start, self.end)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    pub workspace: WorkspaceId,
    pub slug: Slug,
    pub api: String,
    pub ask_password: bool,
    pub key: KeyRow,
    pub networks: Vec<String>,
    pub revoked: Option<(Timestamp, String)>,
    /// The key that replaced this one, and the one that this one replaced.
    pub successor: Option<ApiKeyId>,
    pub predecessor: Option<ApiKeyId>,
    /// When each scope was last used.
    pub scopes: Vec<(Scope, Option<Timestamp>)>,
    pub requests: Vec<RequestRow>,
    pub request_count: u64,
    pub next: Option<ApiRequestId>,
}

/// An entry of the request log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestRow {
    pub id: ApiRequestId,
    pub at: Timestamp,
    pub method: String,
    pub path: String,
    pub status: i32,
    pub duration_us: i64,
    pub address: String,
}

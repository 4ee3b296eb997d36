//! Checks the key of every request. Key data from the database is cached, so that a busy client does not cost a query
//! per request, but never longer than [`HARD_LIFE`]: a revocation takes effect on every node within that time, and with
//! the next request on the node that made it.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::catalog::{Mode, Scope};
use domain::{ApiKeyId, AppError, Permission, Role, Slug, Timestamp, WorkspaceId};
use ipnet::IpNet;
use sea_orm::prelude::Json;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use crate::auth::key::{ApiKeyInfo, ApiKeyPrincipal};
use crate::auth::key_changes::{KeyChange, KeyChanges};
use crate::auth::key_token::{KeyHash, KeyToken};
use crate::context::AppContext;
use crate::db::entity;
use crate::rate_limit::auth::KeyCaller;

/// After this long, one request reads the key again while the others use the cached one.
const SOFT_LIFE: Duration = Duration::from_secs(1);
/// After this long, the cached key is no longer used.
const HARD_LIFE: Duration = Duration::from_secs(2);
/// The maximum number of cached keys; further keys are read each time.
const MAX_REMEMBERED: usize = 20_000;

/// Why a key is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// Not in the format of a key, or mistyped.
    Malformed,
    /// In the format of a key, but no such key exists, or its workspace was deleted.
    Unknown,
    Revoked,
    /// Past its expiry date, or replaced by a rotation.
    Expired,
    /// Valid, but not from this IP address.
    AddressNotAllowed,
    /// The check failed, or this client presented too many unknown keys.
    Internal(AppError),
}

impl fmt::Display for KeyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("Malformed API key."),
            Self::Unknown => f.write_str("Unknown API key."),
            Self::Revoked => f.write_str("This API key was revoked."),
            Self::Expired => f.write_str("This API key has expired or was replaced."),
            Self::AddressNotAllowed => {
                f.write_str("This API key can't be used from this IP address.")
            }
            Self::Internal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeyRefusal {}

impl From<AppError> for KeyRefusal {
    fn from(error: AppError) -> Self {
        Self::Internal(error)
    }
}

/// The only way to authenticate a key: returns its principal if it is valid now and from this IP address. Writes
/// nothing. `caller` is counted against the limit if the key is unknown.
pub async fn check(
    keys: &ApiKeyCache,
    ctx: &AppContext,
    token: &str,
    address: IpAddr,
    caller: KeyCaller,
) -> Result<ApiKeyPrincipal, KeyRefusal> {
    let token = KeyToken::parse(token).map_err(|_| KeyRefusal::Malformed)?;
    let known = keys.find(ctx, token.hash(), caller).await?;
    known.admit(address, Timestamp::now())
}

/// A key and its workspace, as the query returns them.
#[derive(Debug, FromQueryResult)]
struct Row {
    id: ApiKeyId,
    name: String,
    mode: Mode,
    scopes: Json,
    allowed_networks: Json,
    expires_at: Option<Timestamp>,
    retires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    workspace: WorkspaceId,
    workspace_name: String,
    workspace_slug: Slug,
    freezes_at: Option<Timestamp>,
    confirmed_at: Option<Timestamp>,
}

/// The part of a key that the check needs.
#[derive(Debug)]
struct Known {
    facts: Arc<ApiKeyInfo>,
    networks: Vec<IpNet>,
    revoked: bool,
    /// The earlier of its expiry and, once rotated, its retirement.
    ends_at: Option<Timestamp>,
}

impl Known {
    fn new(ctx: &AppContext, row: Row) -> Result<Self, AppError> {
        let ends = [row.expires_at, row.retires_at];
        Ok(Self {
            networks: read_networks(row.allowed_networks)?,
            revoked: row.revoked_at.is_some(),
            ends_at: ends.into_iter().flatten().min(),
            facts: Arc::new(ApiKeyInfo {
                id: row.id,
                name: row.name,
                mode: row.mode,
                scopes: read_scopes(row.scopes),
                workspace: row.workspace,
                workspace_name: row.workspace_name,
                workspace_slug: row.workspace_slug,
                freezes_at: row.freezes_at,
                confirmed: ctx.site().counts_as_confirmed(row.confirmed_at),
            }),
        })
    }

    fn admit(&self, address: IpAddr, now: Timestamp) -> Result<ApiKeyPrincipal, KeyRefusal> {
        if self.revoked {
            return Err(KeyRefusal::Revoked);
        }
        if self.ends_at.is_some_and(|end| end <= now) {
            return Err(KeyRefusal::Expired);
        }
        // An IPv4 address may arrive IPv4-mapped when the server listens on both.
        let address = address.to_canonical();
        let anywhere = self.networks.is_empty();
        if !anywhere && !self.networks.iter().any(|net| net.contains(&address)) {
            return Err(KeyRefusal::AddressNotAllowed);
        }
        Ok(ApiKeyPrincipal::new(self.facts.clone()))
    }
}

/// Scopes from their column. An unknown scope allows nothing.
pub(crate) fn read_scopes(column: Json) -> Vec<Scope> {
    let names: Vec<String> = serde_json::from_value(column).unwrap_or_default();
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// Networks from their column. A network that cannot be parsed is an error: ignoring it could allow every IP address.
fn read_networks(column: Json) -> Result<Vec<IpNet>, AppError> {
    let texts: Vec<String> = serde_json::from_value(column)
        .map_err(|error| domain::internal("an API key's networks", &error))?;
    let read = |text: &String| {
        text.parse().map_err(|error: ipnet::AddrParseError| {
            domain::internal("an API key's network", &error)
        })
    };
    texts.iter().map(read).collect()
}

/// The cached keys of a running server.
#[derive(Debug)]
pub struct ApiKeyCache {
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    /// Changes on this node that are not yet applied to the cache.
    changes: Receiver<KeyChange>,
    entries: HashMap<KeyHash, Entry>,
    /// Increases with every change on this node. A key read before a change is not cached after it.
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    known: Arc<Known>,
    /// When the read began, so that a slow read does not live longer.
    read_at: Instant,
    /// Whether a request is reading the key again now.
    renewing: bool,
}

impl ApiKeyCache {
    pub fn new(changes: &KeyChanges) -> Self {
        Self {
            memory: Mutex::new(Memory {
                changes: changes.subscribe(),
                entries: HashMap::new(),
                generation: 0,
            }),
        }
    }

    async fn find(
        &self,
        ctx: &AppContext,
        hash: KeyHash,
        caller: KeyCaller,
    ) -> Result<Arc<Known>, KeyRefusal> {
        if let Some(known) = self.remembered(&hash, Instant::now()) {
            return Ok(known);
        }
        let _turn = ctx.limits().key_lookup(caller).await;
        let (read_at, generation) = (Instant::now(), self.memory().generation);
        let Some(known) = read(ctx, hash).await? else {
            ctx.limits().unknown_key(caller)?;
            return Err(KeyRefusal::Unknown);
        };
        let known = Arc::new(known);
        self.remember(hash, known.clone(), read_at, generation);
        Ok(known)
    }

    /// The cached key. The first request after the soft life gets `None` and reads the key again.
    fn remembered(&self, hash: &KeyHash, now: Instant) -> Option<Arc<Known>> {
        let mut memory = self.memory();
        let entry = memory.entries.get_mut(hash)?;
        let age = now.saturating_duration_since(entry.read_at);
        if age >= HARD_LIFE || (age >= SOFT_LIFE && !entry.renewing) {
            entry.renewing = true;
            return None;
        }
        Some(entry.known.clone())
    }

    fn remember(&self, hash: KeyHash, known: Arc<Known>, read_at: Instant, generation: u64) {
        let mut memory = self.memory();
        if memory.generation != generation {
            return;
        }
        if memory.entries.len() >= MAX_REMEMBERED && !memory.entries.contains_key(&hash) {
            let now = Instant::now();
            memory
                .entries
                .retain(|_, entry| now.saturating_duration_since(entry.read_at) < HARD_LIFE);
            if memory.entries.len() >= MAX_REMEMBERED {
                return;
            }
        }
        let entry = Entry {
            known,
            read_at,
            renewing: false,
        };
        memory.entries.insert(hash, entry);
    }

    /// The cache, with all changes applied that were made on this node.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.apply_changes();
        memory
    }
}

impl Memory {
    fn apply_changes(&mut self) {
        loop {
            match self.changes.try_recv() {
                Ok(change) => self.forget(change),
                Err(TryRecvError::Lagged(_)) => {
                    self.generation += 1;
                    self.entries.clear();
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn forget(&mut self, change: KeyChange) {
        self.generation += 1;
        self.entries.retain(|_, entry| {
            let facts = &entry.known.facts;
            match change {
                KeyChange::Key(key) => facts.id != key,
                KeyChange::Workspace(workspace) => facts.workspace != workspace,
                KeyChange::Confirmed => facts.confirmed,
            }
        });
    }
}

async fn read(ctx: &AppContext, hash: KeyHash) -> Result<Option<Known>, AppError> {
    use entity::{api_key, subscription, workspace};
    entity::ApiKey::find()
        .join(
            JoinType::InnerJoin,
            api_key::Entity::belongs_to(workspace::Entity)
                .from(api_key::Column::WorkspaceId)
                .to(workspace::Column::Id)
                .into(),
        )
        .join(
            JoinType::LeftJoin,
            api_key::Entity::belongs_to(subscription::Entity)
                .from(api_key::Column::WorkspaceId)
                .to(subscription::Column::WorkspaceId)
                .into(),
        )
        .filter(api_key::Column::TokenHash.eq(hash.to_vec()))
        .select_only()
        .columns([
            api_key::Column::Id,
            api_key::Column::Name,
            api_key::Column::Mode,
            api_key::Column::Scopes,
            api_key::Column::AllowedNetworks,
            api_key::Column::ExpiresAt,
            api_key::Column::RetiresAt,
            api_key::Column::RevokedAt,
        ])
        .column(subscription::Column::FreezesAt)
        .expr_as(confirmed_manager(), "confirmed_at")
        .column_as(workspace::Column::Id, "workspace")
        .column_as(workspace::Column::Name, "workspace_name")
        .column_as(workspace::Column::Slug, "workspace_slug")
        .into_model::<Row>()
        .one(ctx.db().read())
        .await?
        .map(|row| Known::new(ctx, row))
        .transpose()
}

/// When a person who manages the workspace's keys confirmed their email address.
fn confirmed_manager() -> Expr {
    use entity::{api_key, membership, user};
    let managers = Role::ALL
        .into_iter()
        .filter(|role| role.may(Permission::ManageApiKeys));
    let query = Query::select()
        .column((user::Entity, user::Column::EmailConfirmedAt))
        .from(membership::Entity)
        .inner_join(
            user::Entity,
            Expr::col((user::Entity, user::Column::Id))
                .equals((membership::Entity, membership::Column::UserId)),
        )
        .and_where(
            Expr::col((membership::Entity, membership::Column::WorkspaceId))
                .equals((api_key::Entity, api_key::Column::WorkspaceId)),
        )
        .and_where(Expr::col((membership::Entity, membership::Column::Role)).is_in(managers))
        .and_where(Expr::col((user::Entity, user::Column::EmailConfirmedAt)).is_not_null())
        .limit(1)
        .take();
    Expr::SubQuery(None, Box::new(query.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::catalog::Mode;
    use domain::{Slug, minutes};

    fn known(networks: &[&str]) -> Known {
        Known {
            facts: Arc::new(ApiKeyInfo {
                id: ApiKeyId::new(),
                name: "Acme's importer".into(),
                mode: Mode::Live,
                scopes: vec![Scope::ContactsRead],
                workspace: WorkspaceId::new(),
                workspace_name: "Acme".into(),
                workspace_slug: Slug::parse("acme").unwrap(),
                freezes_at: None,
                confirmed: true,
            }),
            networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
            revoked: false,
            ends_at: None,
        }
    }

    fn from(known: &Known, address: &str) -> Result<(), KeyRefusal> {
        known
            .admit(address.parse().unwrap(), Timestamp::now())
            .map(|_| ())
    }

    #[test]
    fn a_key_is_let_in_from_its_networks_alone() {
        assert_eq!(from(&known(&[]), "198.51.100.9"), Ok(()));
        let fenced = known(&["203.0.113.0/24", "2001:db8::/32"]);
        for good in ["203.0.113.7", "::ffff:203.0.113.7", "2001:db8:1::1"] {
            assert_eq!(from(&fenced, good), Ok(()), "{good}");
        }
        for bad in ["203.0.114.7", "::ffff:198.51.100.9", "2001:db9::1", "::1"] {
            assert_eq!(
                from(&fenced, bad),
                Err(KeyRefusal::AddressNotAllowed),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_key_ends_on_the_moment() {
        let now = Timestamp::now();
        let mut key = known(&[]);
        let home = "192.0.2.1".parse().unwrap();
        key.ends_at = Some(now.after(minutes(1)));
        assert!(key.admit(home, now).is_ok());
        key.ends_at = Some(now);
        assert_eq!(key.admit(home, now).err(), Some(KeyRefusal::Expired));
        key.revoked = true;
        assert_eq!(key.admit(home, now).err(), Some(KeyRefusal::Revoked));
    }

    #[test]
    fn one_looks_again_after_a_second_and_all_after_two() {
        let (keys, hash, start) = (
            ApiKeyCache::new(&KeyChanges::default()),
            [1; 32],
            Instant::now(),
        );
        keys.remember(hash, Arc::new(known(&[])), start, 0);
        let held = |millis| {
            keys.remembered(&hash, start + Duration::from_millis(millis))
                .is_some()
        };
        assert!(held(0) && held(999));
        assert!(!held(1_000), "the first to come looks again");
        assert!(held(1_001) && held(1_999), "the others go on meanwhile");
        assert!(!held(2_000) && !held(2_000));
    }

    #[test]
    fn what_was_read_before_a_revocation_is_not_remembered_after_it() {
        let changes = KeyChanges::default();
        let (keys, hash, now) = (ApiKeyCache::new(&changes), [1; 32], Instant::now());
        let read = Arc::new(known(&[]));
        let generation = keys.memory().generation;
        changes.send(KeyChange::Key(read.facts.id));
        keys.remember(hash, read, now, generation);
        assert!(keys.remembered(&hash, now).is_none());
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let (keys, now) = (ApiKeyCache::new(&KeyChanges::default()), Instant::now());
        let read = Arc::new(known(&[]));
        let hash = |n: usize| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&n.to_le_bytes());
            hash
        };
        for n in 0..MAX_REMEMBERED + 100 {
            keys.remember(hash(n), read.clone(), now, 0);
        }
        assert_eq!(keys.memory().entries.len(), MAX_REMEMBERED);
        assert!(keys.remembered(&hash(0), now).is_some());
    }

    #[test]
    fn a_change_is_applied_before_the_next_request() {
        let changes = KeyChanges::default();
        let (keys, now) = (ApiKeyCache::new(&changes), Instant::now());
        let read = Arc::new(known(&[]));
        let cached = |hash: u8| {
            let generation = keys.memory().generation;
            keys.remember([hash; 32], read.clone(), now, generation);
            keys.remembered(&[hash; 32], now).is_some()
        };
        assert!(cached(1));
        changes.send(KeyChange::Confirmed);
        assert!(keys.remembered(&[1; 32], now).is_some(), "it is confirmed");
        changes.send(KeyChange::Workspace(read.facts.workspace));
        assert!(keys.remembered(&[1; 32], now).is_none());
        assert!(cached(2));
        // More changes than are kept for a cache that nobody asks.
        for _ in 0..=super::super::key_changes::KEPT {
            changes.send(KeyChange::Key(ApiKeyId::new()));
        }
        assert!(keys.remembered(&[2; 32], now).is_none());
    }
}

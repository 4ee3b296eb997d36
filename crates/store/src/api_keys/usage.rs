//! Usage of keys. A request only records it in memory; a worker writes it: the last use of a key at most once a minute,
//! and the request log in batches.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::api_keys::LOG_LIFE;
use domain::catalog::Scope;
use domain::{ApiKeyId, ApiRequestId, AppError, Timestamp, Topic, WorkspaceId, hours};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set,
};

use crate::auth::key::ApiKeyPrincipal;
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::live::Invalidation;

/// The minimum time between two writes of a key's last use.
pub const USES_EVERY: Duration = Duration::from_mins(1);
/// The maximum number of unwritten log entries; the oldest are dropped.
const MAX_WAITING: usize = 10_000;
/// The number of entries in one statement.
const BATCH: usize = 500;
/// The maximum number of rows that one sweep deletes from a table, so that the write lock is short.
const SWEEP: u64 = 5_000;
/// How long the response to a request with an idempotency key is stored.
const IDEMPOTENCY_LIFE: Duration = hours(24);

/// An entry of the request log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine {
    pub key: ApiKeyId,
    pub at: Timestamp,
    pub method: String,
    /// Without the query.
    pub path: String,
    pub status: u16,
    pub duration: Duration,
    pub address: IpAddr,
}

/// Usage of API keys that is not yet written.
#[derive(Debug, Default)]
pub struct KeyUsage {
    uses: Mutex<Uses>,
    requests: Mutex<VecDeque<RequestLine>>,
}

#[derive(Debug, Default)]
struct Uses {
    waiting: HashMap<ApiKeyId, Use>,
    /// When each key's use was last written.
    written: HashMap<ApiKeyId, Instant>,
}

#[derive(Clone, Debug)]
struct Use {
    workspace: WorkspaceId,
    at: Timestamp,
    address: IpAddr,
    scopes: HashMap<Scope, Timestamp>,
}

impl KeyUsage {
    /// Records a use of a key from this IP address, for an operation with this scope.
    pub fn note_use(&self, key: &ApiKeyPrincipal, scope: Option<Scope>, address: IpAddr) {
        let at = Timestamp::now();
        let facts = key.facts();
        let mut uses = lock(&self.uses);
        let noted = uses.waiting.entry(facts.id).or_insert_with(|| Use {
            workspace: facts.workspace,
            at,
            address,
            scopes: HashMap::new(),
        });
        (noted.at, noted.address) = (at, address);
        if let Some(scope) = scope {
            noted.scopes.insert(scope, at);
        }
    }

    /// Records a completed request.
    pub fn note_request(&self, line: RequestLine) {
        let mut requests = lock(&self.requests);
        if requests.len() >= MAX_WAITING {
            requests.pop_front();
        }
        requests.push_back(line);
    }

    /// The uses that are due to be written, or all of them.
    fn due_uses(&self, all: bool, now: Instant) -> HashMap<ApiKeyId, Use> {
        let mut uses = lock(&self.uses);
        let Uses { waiting, written } = &mut *uses;
        let recent = |at: &Instant| now.saturating_duration_since(*at) < USES_EVERY;
        written.retain(|_, at| recent(at));
        let due: HashMap<_, _> = if all {
            mem::take(waiting)
        } else {
            waiting
                .extract_if(|key, _| !written.contains_key(key))
                .collect()
        };
        written.extend(due.keys().map(|key| (*key, now)));
        due
    }

    /// Puts back uses that could not be written. Uses recorded since then are newer.
    fn put_back(&self, due: HashMap<ApiKeyId, Use>) {
        let mut uses = lock(&self.uses);
        for (key, old) in due {
            uses.written.remove(&key);
            match uses.waiting.get_mut(&key) {
                None => {
                    uses.waiting.insert(key, old);
                }
                Some(new) => {
                    for (scope, at) in old.scopes {
                        new.scopes.entry(scope).or_insert(at);
                    }
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes the recorded uses, each key at most once a minute.
pub async fn flush_uses(ctx: &AppContext, usage: &KeyUsage) -> Result<usize, AppError> {
    write_uses(ctx, usage, false).await
}

/// Writes everything that is left before the program ends.
pub async fn flush_all(ctx: &AppContext, usage: &KeyUsage) -> Result<(), AppError> {
    let uses = write_uses(ctx, usage, true).await;
    let requests = flush_requests(ctx, usage).await;
    uses.and(requests).map(|_| ())
}

async fn write_uses(ctx: &AppContext, usage: &KeyUsage, all: bool) -> Result<usize, AppError> {
    let due = usage.due_uses(all, Instant::now());
    if due.is_empty() {
        return Ok(0);
    }
    let written = async {
        let mut tx = ctx.db().begin().await?;
        for (key, used) in &due {
            write_use(&mut tx, *key, used).await?;
        }
        tx.commit().await?;
        Ok(due.len())
    };
    match written.await {
        Ok(count) => Ok(count),
        Err(error) => {
            usage.put_back(due);
            Err(error)
        }
    }
}

/// Keeps a later use that another node wrote.
async fn write_use(tx: &mut Tx, key: ApiKeyId, used: &Use) -> Result<(), AppError> {
    use entity::{api_key, api_key_scope_use};
    let found = entity::ApiKey::update_many()
        .col_expr(api_key::Column::LastUsedAt, Expr::value(used.at))
        .col_expr(
            api_key::Column::LastUsedAddress,
            Expr::value(used.address.to_canonical().to_string()),
        )
        .filter(api_key::Column::Id.eq(key))
        .filter(
            Condition::any()
                .add(api_key::Column::LastUsedAt.is_null())
                .add(api_key::Column::LastUsedAt.lt(used.at)),
        )
        .exec(tx)
        .await?;
    if found.rows_affected == 0 {
        return Ok(());
    }
    for (scope, at) in &used.scopes {
        let row = api_key_scope_use::ActiveModel {
            key_id: Set(key),
            scope: Set(*scope),
            last_used_at: Set(*at),
        };
        let again = OnConflict::columns([
            api_key_scope_use::Column::KeyId,
            api_key_scope_use::Column::Scope,
        ])
        .update_column(api_key_scope_use::Column::LastUsedAt)
        .to_owned();
        entity::ApiKeyScopeUse::insert(row)
            .on_conflict(again)
            .exec_without_returning(tx)
            .await?;
    }
    tx.invalidate(Invalidation::workspace(used.workspace, Topic::ApiKeys));
    Ok(())
}

/// Writes the recorded entries of the request log.
pub async fn flush_requests(ctx: &AppContext, usage: &KeyUsage) -> Result<usize, AppError> {
    let lines: Vec<RequestLine> = mem::take(&mut *lock(&usage.requests)).into();
    if lines.is_empty() {
        return Ok(0);
    }
    match write_requests(ctx, &lines).await {
        Ok(()) => Ok(lines.len()),
        Err(error) => {
            let mut waiting = lock(&usage.requests);
            // Before the entries recorded since then; only the newest if there is no room for all.
            let room = MAX_WAITING.saturating_sub(waiting.len());
            for line in lines.into_iter().rev().take(room) {
                waiting.push_front(line);
            }
            Err(error)
        }
    }
}

async fn write_requests(ctx: &AppContext, lines: &[RequestLine]) -> Result<(), AppError> {
    let tx = ctx.db().begin().await?;
    // A key may have been deleted with its workspace.
    let keys: Vec<ApiKeyId> = entity::ApiKey::find()
        .select_only()
        .column(entity::api_key::Column::Id)
        .filter(entity::api_key::Column::Id.is_in(distinct_keys(lines)))
        .into_tuple()
        .all(&tx)
        .await?;
    let rows: Vec<_> = lines
        .iter()
        .filter(|line| keys.contains(&line.key))
        .map(|line| entity::api_request::ActiveModel {
            id: Set(ApiRequestId::new()),
            key_id: Set(line.key),
            at: Set(line.at),
            method: Set(line.method.clone()),
            path: Set(line.path.clone()),
            status: Set(line.status.into()),
            duration_us: Set(i64::try_from(line.duration.as_micros()).unwrap_or(i64::MAX)),
            address: Set(line.address.to_canonical().to_string()),
        })
        .collect();
    for batch in rows.chunks(BATCH) {
        entity::ApiRequest::insert_many(batch.to_vec())
            .exec_without_returning(&tx)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

fn distinct_keys(lines: &[RequestLine]) -> Vec<ApiKeyId> {
    let mut keys: Vec<ApiKeyId> = lines.iter().map(|line| line.key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Deletes expired rows: log entries after 7 days, stored responses after 24 hours. Returns the number of rows. If it
/// is the maximum of a sweep, there may be more.
pub async fn sweep(ctx: &AppContext) -> Result<u64, AppError> {
    use entity::{api_request, idempotency_key};
    let now = Timestamp::now();
    let tx = ctx.db().begin().await?;
    let old = entity::ApiRequest::find()
        .select_only()
        .column(api_request::Column::Id)
        .filter(api_request::Column::At.lt(now.before(LOG_LIFE)))
        .order_by_asc(api_request::Column::At)
        .limit(SWEEP)
        .into_query();
    let requests = entity::ApiRequest::delete_many()
        .filter(api_request::Column::Id.in_subquery(old))
        .exec(&tx)
        .await?;
    let answers = entity::IdempotencyKey::delete_many()
        .filter(idempotency_key::Column::CreatedAt.lt(now.before(IDEMPOTENCY_LIFE)))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(requests.rows_affected + answers.rows_affected)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::ApiKeyInfo;
    use domain::Slug;
    use domain::catalog::Mode;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn key() -> ApiKeyPrincipal {
        ApiKeyPrincipal::new(Arc::new(ApiKeyInfo {
            id: ApiKeyId::new(),
            name: "Acme's importer".into(),
            mode: Mode::Live,
            scopes: vec![Scope::ContactsRead],
            workspace: WorkspaceId::new(),
            workspace_name: "Acme".into(),
            workspace_slug: Slug::parse("acme").unwrap(),
            freezes_at: None,
            confirmed: true,
        }))
    }

    #[test]
    fn a_keys_use_is_due_at_once_and_then_once_a_minute() {
        let (keys, key, start) = (KeyUsage::default(), key(), Instant::now());
        keys.note_use(&key, Some(Scope::ContactsRead), HOME);
        keys.note_use(&key, None, HOME);
        let due = keys.due_uses(false, start);
        assert_eq!(due.len(), 1);
        assert!(
            due[&key.facts().id]
                .scopes
                .contains_key(&Scope::ContactsRead)
        );
        keys.note_use(&key, None, HOME);
        assert!(keys.due_uses(false, start + USES_EVERY / 2).is_empty());
        assert_eq!(keys.due_uses(false, start + USES_EVERY).len(), 1);
        keys.note_use(&key, None, HOME);
        assert_eq!(
            keys.due_uses(true, start + USES_EVERY).len(),
            1,
            "at the end all of it"
        );
    }

    #[test]
    fn what_could_not_be_written_waits_on() {
        let (keys, key, now) = (KeyUsage::default(), key(), Instant::now());
        keys.note_use(&key, Some(Scope::ContactsRead), HOME);
        let due = keys.due_uses(true, now);
        keys.note_use(&key, Some(Scope::ContactsWrite), HOME);
        keys.put_back(due);
        let due = keys.due_uses(true, now);
        assert_eq!(due[&key.facts().id].scopes.len(), 2);
    }

    #[test]
    fn the_waiting_log_is_bounded_and_drops_the_oldest() {
        let (keys, key) = (KeyUsage::default(), ApiKeyId::new());
        for n in 0..MAX_WAITING + 5 {
            keys.note_request(RequestLine {
                key,
                at: Timestamp::from_millis(i64::try_from(n).unwrap()),
                method: "GET".into(),
                path: "/api/v1/me".into(),
                status: 200,
                duration: Duration::ZERO,
                address: HOME,
            });
        }
        let waiting = lock(&keys.requests);
        assert_eq!(waiting.len(), MAX_WAITING);
        assert_eq!(waiting.front().unwrap().at, Timestamp::from_millis(5));
    }
}

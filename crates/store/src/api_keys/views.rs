//! The data of the section's pages.

use std::collections::HashMap;

use domain::api_keys::{
    Filter, KeyRow, KeyView, KeysView, LOG_LIFE, LOG_PAGE, PAGE, RequestRow, SETTLED_AFTER, Status,
    UNUSED_AFTER,
};
use domain::catalog::{Mode, Scope};
use domain::{ApiKeyId, ApiRequestId, AppError, Timestamp};
use sea_orm::sea_query::{Expr, Func, LikeExpr};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QueryTrait, Select,
};

use crate::auth::api_keys::read_scopes;
use crate::auth::{Actor, ReadPermit, can};
use crate::context::AppContext;
use crate::db::entity::api_key::{Column, Model};
use crate::db::rows::page_of;
use crate::db::{entity, rows};

/// The query parameters of the list.
#[derive(Clone, Debug, Default)]
pub struct KeyListQuery {
    pub filter: Option<Filter>,
    pub mode: Option<Mode>,
    pub search: String,
    pub before: Option<ApiKeyId>,
}

pub async fn list(
    ctx: &AppContext,
    actor: &ReadPermit<can::ManageApiKeys>,
    asked: &KeyListQuery,
) -> Result<KeysView, AppError> {
    let now = Timestamp::now();
    let filter = asked.filter.unwrap_or(Filter::All);
    let all = matching(actor, asked);
    let mut counts = [0; Filter::ALL.len()];
    for (count, filter) in counts.iter_mut().zip(Filter::ALL) {
        let behind = all.clone().filter(behind_tab(filter, now));
        *count = behind.count(ctx.db().read()).await?;
    }
    let mut page = all.filter(behind_tab(filter, now));
    if let Some(before) = asked.before {
        page = page.filter(Column::Id.lt(before));
    }
    let page = page.order_by_desc(Column::Id).into_query();
    let keys: Vec<Model> = rows::up_to(PAGE + 1, page, ctx.db().read()).await?;
    let (keys, more) = page_of(keys, PAGE);
    let uses = scope_uses(ctx, keys.iter().map(|key| key.id)).await?;
    Ok(KeysView {
        workspace: actor.workspace(),
        slug: actor.slug().clone(),
        api: ctx.site().url("/api/v1"),
        ask_password: !actor.person().is_fresh(),
        filter,
        counts,
        next: keys.last().filter(|_| more).map(|key| key.id),
        keys: keys
            .into_iter()
            .map(|key| {
                let scopes = uses.get(&key.id);
                row(key, scopes, now)
            })
            .collect(),
    })
}

/// The workspace's keys of the requested type whose name contains the searched text.
fn matching(actor: &Actor, asked: &KeyListQuery) -> Select<entity::ApiKey> {
    let mut query = entity::ApiKey::find().filter(Column::WorkspaceId.eq(actor.workspace()));
    if let Some(mode) = asked.mode {
        query = query.filter(Column::Mode.eq(mode));
    }
    let search = asked.search.trim().to_lowercase();
    if !search.is_empty() {
        let literal = search
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_");
        let name = Expr::expr(Func::lower(Expr::col(Column::Name)));
        query = query.filter(name.like(LikeExpr::new(format!("%{literal}%")).escape('\\')));
    }
    query
}

fn behind_tab(filter: Filter, now: Timestamp) -> Condition {
    let over = Condition::any()
        .add(Column::ExpiresAt.lte(now))
        .add(Column::RetiresAt.lte(now));
    let going_on = Condition::all()
        .add(
            Condition::any()
                .add(Column::ExpiresAt.is_null())
                .add(Column::ExpiresAt.gt(now)),
        )
        .add(
            Condition::any()
                .add(Column::RetiresAt.is_null())
                .add(Column::RetiresAt.gt(now)),
        );
    match filter {
        Filter::All => Condition::all(),
        Filter::Active => Condition::all()
            .add(Column::RevokedAt.is_null())
            .add(going_on),
        Filter::Expired => Condition::all().add(Column::RevokedAt.is_null()).add(over),
        Filter::Revoked => Condition::all().add(Column::RevokedAt.is_not_null()),
    }
}

fn status(key: &Model, now: Timestamp) -> Status {
    let over = |end: Option<Timestamp>| end.is_some_and(|end| end <= now);
    if key.revoked_at.is_some() {
        Status::Revoked
    } else if over(key.retires_at) {
        Status::Retired
    } else if over(key.expires_at) {
        Status::Expired
    } else if key.replaced_by.is_some() {
        Status::Rotating
    } else {
        Status::Active
    }
}

type ScopeUses = HashMap<Scope, Timestamp>;

async fn scope_uses(
    ctx: &AppContext,
    keys: impl Iterator<Item = ApiKeyId>,
) -> Result<HashMap<ApiKeyId, ScopeUses>, AppError> {
    use entity::api_key_scope_use::Column;
    let rows = entity::ApiKeyScopeUse::find()
        .filter(Column::KeyId.is_in(keys))
        .all(ctx.db().read())
        .await?;
    let mut uses: HashMap<ApiKeyId, ScopeUses> = HashMap::new();
    for row in rows {
        uses.entry(row.key_id)
            .or_default()
            .insert(row.scope, row.last_used_at);
    }
    Ok(uses)
}

fn row(key: Model, used: Option<&ScopeUses>, now: Timestamp) -> KeyRow {
    let status = status(&key, now);
    let scopes = read_scopes(key.scopes);
    let idle = match used {
        Some(used) if status == Status::Active && now.since(key.created_at) > SETTLED_AFTER => {
            scopes
                .iter()
                .filter(|scope| !used.contains_key(scope))
                .count()
        }
        _ => 0,
    };
    let last_use = key.last_used_at.unwrap_or(key.created_at);
    KeyRow {
        id: key.id,
        name: key.name,
        mode: key.mode,
        start: key.token_start,
        end: key.token_end,
        scopes,
        created_by: key.created_by_name,
        created_at: key.created_at,
        last_used: key.last_used_at.zip(key.last_used_address),
        expires_at: key.expires_at,
        retires_at: key.retires_at,
        status,
        unused: status == Status::Active && now.since(last_use) > UNUSED_AFTER,
        idle_scopes: u32::try_from(idle).unwrap_or(u32::MAX),
    }
}

/// One key with its requests in the last 7 days, newest first.
pub async fn find(
    ctx: &AppContext,
    actor: &ReadPermit<can::ManageApiKeys>,
    id: ApiKeyId,
    before: Option<ApiRequestId>,
) -> Result<KeyView, AppError> {
    use entity::api_request;
    let read = ctx.db().read();
    let now = Timestamp::now();
    let key = entity::ApiKey::find_by_id(id)
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .one(read)
        .await?
        .ok_or(AppError::NotFound)?;
    let predecessor = entity::ApiKey::find()
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .filter(Column::ReplacedBy.eq(id))
        .one(read)
        .await?;
    let log = entity::ApiRequest::find()
        .filter(api_request::Column::KeyId.eq(id))
        .filter(api_request::Column::At.gte(now.before(LOG_LIFE)));
    let request_count = log.clone().count(read).await?;
    let mut page = log;
    if let Some(before) = before {
        page = page.filter(api_request::Column::Id.lt(before));
    }
    let page = page.order_by_desc(api_request::Column::Id).into_query();
    let requests: Vec<api_request::Model> = rows::up_to(LOG_PAGE + 1, page, read).await?;
    let (requests, more) = page_of(requests, LOG_PAGE);
    let uses = scope_uses(ctx, [id].into_iter()).await?.remove(&id);
    let last_use = |scope: &Scope| uses.as_ref().and_then(|uses| uses.get(scope).copied());
    let scopes = read_scopes(key.scopes.clone());
    Ok(KeyView {
        workspace: actor.workspace(),
        slug: actor.slug().clone(),
        api: ctx.site().url("/api/v1"),
        ask_password: !actor.person().is_fresh(),
        networks: serde_json::from_value(key.allowed_networks.clone()).unwrap_or_default(),
        revoked: key
            .revoked_at
            .map(|at| (at, key.revoked_by_name.clone().unwrap_or_default())),
        successor: key.replaced_by,
        predecessor: predecessor.map(|key| key.id),
        scopes: scopes
            .iter()
            .map(|scope| (*scope, last_use(scope)))
            .collect(),
        key: row(key, uses.as_ref(), now),
        next: requests.last().filter(|_| more).map(|line| line.id),
        requests: requests.into_iter().map(request_row).collect(),
        request_count,
    })
}

fn request_row(line: entity::api_request::Model) -> RequestRow {
    RequestRow {
        id: line.id,
        at: line.at,
        method: line.method,
        path: line.path,
        status: line.status,
        duration_us: line.duration_us,
        address: line.address,
    }
}

//! Renames keys, and removes scopes from them.

use domain::catalog::{EventType, Scope};
use domain::form::FormSuccess;
use domain::{ApiKeyId, AppError, Name, Timestamp};
use sea_orm::sea_query::Expr;
use serde_json::json;

use super::change::{change, find, must_work, record};
use crate::auth::api_keys::read_scopes;
use crate::auth::key_changes::KeyChange;
use crate::auth::{Permit, RequestInfo, begin_change, can};
use crate::context::AppContext;
use crate::db::entity::api_key::Column;

pub async fn rename(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::ManageApiKeys>,
    id: ApiKeyId,
    name: Name,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    let key = find(&tx, &actor, id).await?;
    must_work(&key, Timestamp::now())?;
    if key.name == name.as_str() {
        return Ok(FormSuccess::with_message("Changes saved"));
    }
    change(id)
        .col_expr(Column::Name, Expr::value(name.as_str()))
        .exec(&tx)
        .await?;
    let data = json!({"from": key.name});
    let named = (id, name.as_str());
    record(&mut tx, info, &actor, EventType::ApiKeyUpdated, named, data).await?;
    tx.commit().await?;
    ctx.key_changes().send(KeyChange::Key(id));
    Ok(FormSuccess::with_message("Changes saved"))
}

/// Removes scopes from a key. A key never gets more scopes: that takes a new key.
pub async fn narrow(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::ManageApiKeys>,
    id: ApiKeyId,
    keep: Vec<Scope>,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    let key = find(&tx, &actor, id).await?;
    must_work(&key, Timestamp::now())?;
    let had = read_scopes(key.scopes);
    if keep.iter().any(|scope| !had.contains(scope)) {
        let message = "You can't add scopes to a key. Create a new key.";
        return Err(AppError::field("scopes", message));
    }
    let removed: Vec<Scope> = had
        .into_iter()
        .filter(|scope| !keep.contains(scope))
        .collect();
    if removed.is_empty() {
        return Ok(FormSuccess::with_message("Changes saved"));
    }
    change(id)
        .col_expr(Column::Scopes, Expr::value(json!(keep)))
        .exec(&tx)
        .await?;
    let data = json!({"removed_scopes": removed});
    let named = (id, key.name.as_str());
    record(&mut tx, info, &actor, EventType::ApiKeyUpdated, named, data).await?;
    tx.commit().await?;
    ctx.key_changes().send(KeyChange::Key(id));
    Ok(FormSuccess::with_message("Scopes updated"))
}

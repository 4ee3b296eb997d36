//! Revokes keys.

use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::{ApiKeyId, AppError, Timestamp};
use sea_orm::sea_query::Expr;
use serde_json::json;

use super::change::{change, find, record};
use crate::auth::key_changes::KeyChange;
use crate::auth::{Permit, RequestInfo, begin_change, can};
use crate::context::AppContext;
use crate::db::entity::api_key::Column;

/// Revokes a key immediately and for good. It stays in the list.
pub async fn revoke(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::ManageApiKeys>,
    id: ApiKeyId,
    typed_name: &str,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    let key = find(&tx, &actor, id).await?;
    if key.revoked_at.is_some() {
        return Err(AppError::Conflict(
            "This key was already revoked.".to_owned(),
        ));
    }
    if typed_name.trim() != key.name {
        return Err(AppError::field("name", "This name doesn't match"));
    }
    change(id)
        .col_expr(Column::RevokedAt, Expr::value(Timestamp::now()))
        .col_expr(Column::RevokedByName, Expr::value(actor.person().name()))
        .exec(&tx)
        .await?;
    let named = (id, key.name.as_str());
    record(
        &mut tx,
        info,
        &actor,
        EventType::ApiKeyRevoked,
        named,
        json!({}),
    )
    .await?;
    tx.commit().await?;
    ctx.key_changes().send(KeyChange::Key(id));
    Ok(FormSuccess::with_message(format!("{} revoked", key.name)))
}

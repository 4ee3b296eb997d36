//! Creates keys.

use domain::api_keys::{MAX_KEYS, NewKey};
use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::{ApiKeyId, AppError, Secret, Timestamp};
use ipnet::IpNet;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, Set};
use serde_json::json;

use super::change::record;
use crate::auth::key_token::KeyToken;
use crate::auth::{Actor, Permit, RequestInfo, begin_change, can, sessions};
use crate::context::AppContext;
use crate::db::entity::api_key::{ActiveModel, Column};
use crate::db::{Tx, entity};

/// Creates a key and returns it once. Nobody can grant a scope that their own role does not have.
pub async fn create(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::ManageApiKeys>,
    wish: NewKey,
    networks: Vec<IpNet>,
    current_password: &Secret,
) -> Result<FormSuccess, AppError> {
    actor.person().require_confirmed()?;
    sessions::confirm_identity(ctx, info, actor.person(), current_password).await?;
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    if let Some(scope) = wish
        .scopes
        .iter()
        .find(|scope| !actor.may(scope.permission()))
    {
        let message = format!("You can't grant {} with your role", scope.label());
        return Err(AppError::field("scopes", message));
    }
    must_fit(&tx, &actor).await?;
    let token = KeyToken::generate(wish.mode);
    let now = Timestamp::now();
    let id = ApiKeyId::new();
    let row = ActiveModel {
        id: Set(id),
        name: Set(wish.name.to_string()),
        scopes: Set(json!(wish.scopes)),
        allowed_networks: Set(networks.iter().map(ToString::to_string).collect()),
        expires_at: Set(wish.expires_at),
        ..blank(&actor, &token, now)
    };
    row.insert(&tx).await?;
    let data = json!({"mode": wish.mode, "scopes": wish.scopes, "expires_at": wish.expires_at.map(Timestamp::rfc3339)});
    let named = (id, wish.name.as_str());
    record(&mut tx, info, &actor, EventType::ApiKeyCreated, named, data).await?;
    tx.commit().await?;
    let said = "Key created. Copy it now. It won't be shown again.";
    Ok(FormSuccess::with_message(said).with_secret(token.secret().clone()))
}

/// A new key's row, with the columns that no form sets.
pub(super) fn blank(actor: &Actor, token: &KeyToken, now: Timestamp) -> ActiveModel {
    let (start, end) = token.shown();
    ActiveModel {
        workspace_id: Set(actor.workspace()),
        mode: Set(token.mode()),
        token_hash: Set(token.hash().to_vec()),
        token_start: Set(start.to_owned()),
        token_end: Set(end.to_owned()),
        created_by: Set(Some(actor.person().id())),
        created_by_name: Set(actor.person().name().to_owned()),
        created_at: Set(now),
        updated_at: Set(now),
        last_used_at: Set(None),
        last_used_address: Set(None),
        replaced_by: Set(None),
        retires_at: Set(None),
        revoked_at: Set(None),
        revoked_by_name: Set(None),
        ..Default::default()
    }
}

async fn must_fit(tx: &Tx, actor: &Actor) -> Result<(), AppError> {
    let kept = entity::ApiKey::find()
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .filter(Column::RevokedAt.is_null())
        .filter(Column::ReplacedBy.is_null())
        .count(tx)
        .await?;
    if kept >= MAX_KEYS {
        return Err(AppError::LimitReached(format!(
            "You've reached the limit of {MAX_KEYS} keys. Revoke one you don't use."
        )));
    }
    Ok(())
}

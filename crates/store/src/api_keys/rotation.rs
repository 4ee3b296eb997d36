//! Rotation: a new key with the same settings replaces an old one, which works beside it for a while.

use domain::api_keys::Grace;
use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::{ApiKeyId, AppError, Secret, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, Set};
use serde_json::json;

use super::change::{change, find, must_work, record};
use super::create::blank;
use crate::auth::key_changes::KeyChange;
use crate::auth::key_token::KeyToken;
use crate::auth::{Permit, RequestInfo, begin_change, can, sessions};
use crate::context::AppContext;
use crate::db::entity::api_key::{ActiveModel, Column};

/// Creates a new key with the same settings. The old key works beside it for the chosen time.
pub async fn rotate(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::ManageApiKeys>,
    id: ApiKeyId,
    grace: Grace,
    current_password: &Secret,
) -> Result<FormSuccess, AppError> {
    actor.person().require_confirmed()?;
    sessions::confirm_identity(ctx, info, actor.person(), current_password).await?;
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    let old = find(&tx, &actor, id).await?;
    let now = Timestamp::now();
    must_work(&old, now)?;
    if old.replaced_by.is_some() {
        let message = "This key was already rotated. Rotate the new one.";
        return Err(AppError::Conflict(message.to_owned()));
    }
    let token = KeyToken::generate(old.mode);
    let successor = ApiKeyId::new();
    let row = ActiveModel {
        id: Set(successor),
        name: Set(old.name.clone()),
        scopes: Set(old.scopes),
        allowed_networks: Set(old.allowed_networks),
        // The same lifetime as the old key had.
        expires_at: Set(old
            .expires_at
            .map(|end| now.after(end.since(old.created_at)))),
        ..blank(&actor, &token, now)
    };
    row.insert(&tx).await?;
    let retires_at = now.after(grace.duration());
    change(id)
        .col_expr(Column::ReplacedBy, Expr::value(successor))
        .col_expr(Column::RetiresAt, Expr::value(retires_at))
        .exec(&tx)
        .await?;
    let data = json!({"successor": successor, "old_works_until": retires_at.rfc3339()});
    let named = (id, old.name.as_str());
    record(&mut tx, info, &actor, EventType::ApiKeyRotated, named, data).await?;
    tx.commit().await?;
    ctx.key_changes().send(KeyChange::Key(id));
    let until = match grace {
        Grace::Now => "The old key no longer works".to_owned(),
        _ => format!("The old key works until {}", retires_at.exact()),
    };
    let said = format!("Key rotated. {until}. Copy the new one now.");
    Ok(FormSuccess::with_message(said).with_secret(token.secret().clone()))
}

/// Ends a rotation: the old key expires now.
pub async fn finish_rotation(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::ManageApiKeys>,
    id: ApiKeyId,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    let old = find(&tx, &actor, id).await?;
    let now = Timestamp::now();
    must_work(&old, now)?;
    if old.replaced_by.is_none() {
        return Err(AppError::Conflict(
            "This key isn't being rotated.".to_owned(),
        ));
    }
    change(id)
        .col_expr(Column::RetiresAt, Expr::value(now))
        .exec(&tx)
        .await?;
    let data = json!({"rotation": "finished"});
    let named = (id, old.name.as_str());
    record(&mut tx, info, &actor, EventType::ApiKeyUpdated, named, data).await?;
    tx.commit().await?;
    ctx.key_changes().send(KeyChange::Key(id));
    Ok(FormSuccess::with_message(format!(
        "Old {} key expired",
        old.name
    )))
}

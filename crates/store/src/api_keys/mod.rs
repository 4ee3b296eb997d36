//! Creates, rotates and revokes keys, and removes scopes from them.

pub mod cli;
pub mod usage;
pub mod views;

use std::net::IpAddr;

use domain::api_keys::{Grace, MAX_KEYS, MAX_NETWORKS, NewKey};
use domain::catalog::{EventType, Scope};
use domain::form::FormSuccess;
use domain::{ApiKeyId, AppError, Name, Permission, Secret, Timestamp};
use ipnet::IpNet;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, Set};
use serde_json::{Value, json};

use crate::auth::api_keys::read_scopes;
use crate::auth::key_changes::KeyChange;
use crate::auth::key_token::KeyToken;
use crate::auth::{Actor, Permit, RequestInfo, can, sessions};
use crate::context::AppContext;
use crate::db::entity::api_key::{ActiveModel, Column, Model};
use crate::db::{Tx, entity};
use crate::events::{self, NewEvent};

/// Begins a change to the workspace's keys: one at a time, with the permission checked under the lock.
async fn begin(
    ctx: &AppContext,
    actor: &Permit<can::ManageApiKeys>,
) -> Result<(Tx, Actor), AppError> {
    let tx = ctx.db().begin().await?;
    sessions::lock_workspace(&tx, actor.workspace()).await?;
    let actor = sessions::reload_actor(&tx, actor).await?;
    actor.require(Permission::ManageApiKeys)?;
    Ok((tx, actor))
}

/// A key of this workspace.
async fn find(tx: &Tx, actor: &Actor, id: ApiKeyId) -> Result<Model, AppError> {
    entity::ApiKey::find_by_id(id)
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)
}

/// Refuses to change a key that no longer works.
fn must_work(key: &Model, now: Timestamp) -> Result<(), AppError> {
    let over = |end: Option<Timestamp>| end.is_some_and(|end| end <= now);
    let why = if key.revoked_at.is_some() {
        "This key was revoked."
    } else if over(key.retires_at) {
        "This key was replaced."
    } else if over(key.expires_at) {
        "This key has expired. Create a new one."
    } else {
        return Ok(());
    };
    Err(AppError::Conflict(why.to_owned()))
}

/// Records a change of a key, with its actor and origin, but never the key itself.
async fn record(
    tx: &mut Tx,
    info: &RequestInfo,
    actor: &Actor,
    event_type: EventType,
    key: (ApiKeyId, &str),
    mut more: Value,
) -> Result<(), AppError> {
    more["key"] = json!(key.0);
    more["name"] = json!(key.1);
    more["address"] = json!(info.address.to_canonical());
    let event = NewEvent::in_workspace(actor.workspace(), event_type, more);
    events::record(tx, actor, event).await?;
    Ok(())
}

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
    let (mut tx, actor) = begin(ctx, actor).await?;
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
fn blank(actor: &Actor, token: &KeyToken, now: Timestamp) -> ActiveModel {
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
    let (mut tx, actor) = begin(ctx, actor).await?;
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

fn change(id: ApiKeyId) -> sea_orm::UpdateMany<entity::ApiKey> {
    entity::ApiKey::update_many()
        .col_expr(Column::UpdatedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(id))
}

/// Ends a rotation: the old key expires now.
pub async fn finish_rotation(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::ManageApiKeys>,
    id: ApiKeyId,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin(ctx, actor).await?;
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

/// Revokes a key immediately and for good. It stays in the list.
pub async fn revoke(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::ManageApiKeys>,
    id: ApiKeyId,
    typed_name: &str,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin(ctx, actor).await?;
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

pub async fn rename(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::ManageApiKeys>,
    id: ApiKeyId,
    name: Name,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin(ctx, actor).await?;
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
    let (mut tx, actor) = begin(ctx, actor).await?;
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

/// IP addresses and CIDR ranges as they are typed: separated by spaces, commas or line breaks.
pub fn read_networks(text: &str) -> Result<Vec<IpNet>, AppError> {
    let mut networks = Vec::new();
    for word in text
        .split([' ', ',', ';', '\t', '\r', '\n'])
        .filter(|word| !word.is_empty())
    {
        let network = word
            .parse::<IpNet>()
            .or_else(|_| word.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| {
                let message = format!("“{word}” isn't a valid IP address or CIDR range");
                AppError::field("networks", message)
            })?;
        let network = plain(network).trunc();
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    if networks.len() > MAX_NETWORKS {
        let message = format!("Enter up to {MAX_NETWORKS} IP addresses or CIDR ranges");
        return Err(AppError::field("networks", message));
    }
    Ok(networks)
}

/// An IPv4-mapped IPv6 network becomes the IPv4 network.
fn plain(network: IpNet) -> IpNet {
    const CLOTHES: u8 = 96;
    match network {
        IpNet::V6(v6) if v6.prefix_len() >= CLOTHES => v6
            .addr()
            .to_ipv4_mapped()
            .and_then(|v4| IpNet::new(v4.into(), v6.prefix_len() - CLOTHES).ok())
            .unwrap_or(network),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_people_write_them() {
        let read = |text: &str| {
            let networks = read_networks(text).ok()?;
            Some(
                networks
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        };
        assert_eq!(read("").as_deref(), Some(""));
        assert_eq!(
            read("203.0.113.7\n198.51.100.9/24, 2001:db8::/32").as_deref(),
            Some("203.0.113.7/32 198.51.100.0/24 2001:db8::/32")
        );
        assert_eq!(read("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1/32"));
        assert_eq!(read("192.0.2.1 192.0.2.1").as_deref(), Some("192.0.2.1/32"));
        for bad in ["here", "203.0.113.0/33", "203.0.113", "*"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let many: Vec<String> = (0..=MAX_NETWORKS).map(|n| format!("192.0.2.{n}")).collect();
        assert_eq!(read(&many.join("\n")), None);
    }
}

//! Whether a key that was shown holds.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::token::KeyToken;
use crate::db::entity::{self, api_key::Column};
use crate::domain::{AppError, Timestamp};
use crate::house::House;
use crate::keyring::hash_token;
use crate::session::{KeyFacts, KeyHolder};

/// Why a key that was shown does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    Malformed,
    Unknown,
    Revoked,
    Expired,
    AddressNotAllowed,
    Internal(AppError),
}

impl std::fmt::Display for KeyRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "This is not an API key, or not all of one.",
            Self::Unknown => "There is no such API key.",
            Self::Revoked => "This API key was revoked.",
            Self::Expired => "This API key has expired or was replaced.",
            Self::AddressNotAllowed => "This API key may not be used from this address.",
            Self::Internal(error) => return error.fmt(f),
        })
    }
}

impl From<AppError> for KeyRefusal {
    fn from(error: AppError) -> Self {
        Self::Internal(error)
    }
}

pub async fn check(house: &House, token: &str, address: IpAddr) -> Result<KeyHolder, KeyRefusal> {
    KeyToken::parse(token).map_err(|_| KeyRefusal::Malformed)?;
    let db = house.db().read();
    let key = entity::ApiKey::find()
        .filter(Column::TokenHash.eq(hash_token(token)))
        .one(db)
        .await
        .map_err(AppError::from)?
        .ok_or(KeyRefusal::Unknown)?;
    let now = Timestamp::now();
    if key.revoked_at.is_some() || key.retires_at.is_some_and(|at| at <= now) {
        return Err(KeyRefusal::Revoked);
    }
    if key.expires_at.is_some_and(|at| at <= now) {
        return Err(KeyRefusal::Expired);
    }
    let networks: Vec<String> = serde_json::from_value(key.allowed_networks).unwrap_or_default();
    let networks: Vec<IpNet> = networks
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    if !networks.is_empty() && !networks.iter().any(|network| network.contains(&address)) {
        return Err(KeyRefusal::AddressNotAllowed);
    }
    let workspace = entity::Workspace::find_by_id(key.workspace_id)
        .one(db)
        .await
        .map_err(AppError::from)?
        .ok_or(KeyRefusal::Unknown)?;
    Ok(KeyHolder::new(Arc::new(KeyFacts {
        id: key.id,
        name: key.name,
        mode: key.mode,
        scopes: serde_json::from_value(key.scopes).unwrap_or_default(),
        workspace: workspace.id,
        workspace_name: workspace.name,
        workspace_slug: workspace.slug,
    })))
}

//! What the check needs to know about a key, and the rules for accepting it.

use std::net::IpAddr;
use std::sync::Arc;

use domain::catalog::{Mode, Scope};
use domain::{ApiKeyId, AppError, Slug, Timestamp, WorkspaceId};
use ipnet::IpNet;
use sea_orm::FromQueryResult;
use sea_orm::prelude::Json;

use super::refusal::KeyRefusal;
use crate::auth::key::{ApiKeyInfo, ApiKeyPrincipal};
use crate::context::AppContext;

/// A key and its workspace, as the query returns them.
#[derive(Debug, FromQueryResult)]
pub(super) struct Row {
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
pub(super) struct Known {
    pub(super) facts: Arc<ApiKeyInfo>,
    networks: Vec<IpNet>,
    revoked: bool,
    /// The earlier of its expiry and, once rotated, its retirement.
    ends_at: Option<Timestamp>,
}

impl Known {
    pub(super) fn new(ctx: &AppContext, row: Row) -> Result<Self, AppError> {
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

    pub(super) fn admit(
        &self,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<ApiKeyPrincipal, KeyRefusal> {
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use domain::minutes;

    pub(in crate::auth::api_keys) fn known(networks: &[&str]) -> Known {
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
}

//! Credits in the public API.

use std::time::Duration;

use domain::catalog::Catalog;
use domain::contacts::text;
use domain::credits::{EntryKind, HOLD_LIFE, HoldStatus, MAX_AT_ONCE, MAX_HOLD, MAX_REFERENCE_LEN};
use domain::{CreditEntryId, CreditHoldId, FieldErrors};
use serde::{Deserialize, Serialize};

use crate::db::entity::{credit_entry, credit_hold};

/// A use of a feature.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpendCreditsRequest {
    /// The feature's id, as in the catalog.
    #[schema(example = "suggest_reply")]
    pub feature: String,
    /// Number of uses. Defaults to 1.
    #[schema(value_type = u32, minimum = 1, maximum = 10_000, default = 1, required = false)]
    pub quantity: Option<u32>,
    /// Your own note or id for this use.
    #[schema(
        value_type = String,
        required = false,
        min_length = 1,
        max_length = 200,
        example = "chat 4711"
    )]
    pub reference: Option<String>,
}

/// Credits to reserve.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReserveCreditsRequest {
    /// The feature's id, as in the catalog.
    #[schema(example = "smart_automation")]
    pub feature: String,
    /// Maximum number of uses. Defaults to 1.
    #[schema(value_type = u32, minimum = 1, maximum = 10_000, default = 1, required = false)]
    pub quantity: Option<u32>,
    #[schema(
        value_type = String,
        required = false,
        min_length = 1,
        max_length = 200,
        example = "run 12"
    )]
    pub reference: Option<String>,
    /// Seconds after which uncaptured credits are released automatically.
    #[schema(value_type = u32, minimum = 1, maximum = 86_400, default = 900, required = false)]
    pub expires_in: Option<u32>,
}

/// The part of a hold to capture.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureCreditsRequest {
    /// Number of uses. Defaults to the reserved quantity.
    #[schema(value_type = u32, minimum = 1, maximum = 10_000, required = false)]
    pub quantity: Option<u32>,
}

/// A valid use of a feature, at the catalog price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub feature: String,
    pub quantity: i64,
    pub reference: Option<String>,
    price: i64,
}

impl Use {
    /// What it costs. Both are bounded far below where a product overflows.
    pub fn credits(&self) -> i64 {
        self.price * self.quantity
    }

    pub fn new(
        catalog: &Catalog,
        feature: &str,
        quantity: Option<u32>,
        reference: Option<&str>,
    ) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::new();
        let found = catalog.feature(feature).ok_or_else(|| {
            let ids: Vec<&str> = catalog.features.iter().map(|one| one.id.as_str()).collect();
            format!("Unknown feature. Use one of {}", ids.join(", "))
        });
        let found = errors.check("feature", found);
        let quantity = quantity.unwrap_or(1);
        if !(1..=MAX_AT_ONCE).contains(&quantity) {
            errors.add("quantity", format!("Must be from 1 to {MAX_AT_ONCE}"));
        }
        let reference = reference
            .and_then(|reference| errors.check("reference", text(reference, MAX_REFERENCE_LEN)));
        match found.filter(|_| errors.is_empty()) {
            None => Err(errors),
            Some(found) => Ok(Self {
                feature: found.id.clone(),
                quantity: quantity.into(),
                reference,
                price: found.credits.into(),
            }),
        }
    }
}

impl SpendCreditsRequest {
    pub fn parse(&self, catalog: &Catalog) -> Result<Use, FieldErrors> {
        Use::new(
            catalog,
            &self.feature,
            self.quantity,
            self.reference.as_deref(),
        )
    }
}

impl ReserveCreditsRequest {
    pub fn parse(&self, catalog: &Catalog) -> Result<(Use, Duration), FieldErrors> {
        let life = self
            .expires_in
            .map_or(HOLD_LIFE, |seconds| Duration::from_secs(seconds.into()));
        let wanted = Use::new(
            catalog,
            &self.feature,
            self.quantity,
            self.reference.as_deref(),
        );
        if life.is_zero() || life > MAX_HOLD {
            let mut errors = wanted.err().unwrap_or_default();
            let most = MAX_HOLD.as_secs();
            errors.add("expires_in", format!("Must be from 1 to {most}"));
            return Err(errors);
        }
        Ok((wanted?, life))
    }
}

/// The credit balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CreditBalance {
    /// Total available.
    #[schema(example = 2320)]
    pub balance: i64,
    /// Plan credits, which are spent first.
    #[schema(example = 2000)]
    pub plan: i64,
    /// Purchased credits, which do not expire.
    #[schema(example = 320)]
    pub purchased: i64,
    /// When the plan credits expire and renew: RFC 3339, in UTC. Null if no plan grants any.
    #[schema(format = DateTime)]
    pub renews_at: Option<String>,
}

/// Who caused an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CreditActor)]
pub struct CreditActor {
    /// `person`, `key` or `system`.
    pub kind: String,
    pub name: String,
}

/// A ledger entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CreditEntry)]
pub struct CreditEntry {
    #[schema(value_type = String, example = "cen_01h455vb4pex5vsknk084sn02q")]
    pub id: CreditEntryId,
    pub kind: EntryKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "suggest_reply")]
    pub feature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 3)]
    pub quantity: Option<i64>,
    /// Change of the balance: negative for credits spent.
    #[schema(example = -6)]
    pub amount: i64,
    /// Balance after this entry.
    #[schema(example = 2314)]
    pub balance: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "chat 4711")]
    pub reference: Option<String>,
    /// The hold this entry belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "hold_01h455vb4pex5vsknk084sn02q")]
    pub hold: Option<CreditHoldId>,
    pub actor: CreditActor,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
}

impl From<credit_entry::Model> for CreditEntry {
    fn from(row: credit_entry::Model) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            feature: row.feature,
            quantity: row.quantity,
            amount: row.amount,
            balance: row.balance,
            reference: row.reference,
            hold: row.hold_id,
            actor: CreditActor {
                kind: row.actor_kind,
                name: row.actor_name,
            },
            created_at: row.created_at.rfc3339(),
        }
    }
}

/// A reservation of credits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CreditHold)]
pub struct CreditHold {
    #[schema(value_type = String, example = "hold_01h455vb4pex5vsknk084sn02q")]
    pub id: CreditHoldId,
    pub status: HoldStatus,
    #[schema(example = "smart_automation")]
    pub feature: String,
    pub quantity: i64,
    /// Credits reserved, and how many of them were captured.
    #[schema(example = 40)]
    pub reserved: i64,
    #[schema(example = 0)]
    pub captured: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "run 12")]
    pub reference: Option<String>,
    /// Remaining balance.
    #[schema(example = 2280)]
    pub balance: i64,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
}

impl CreditHold {
    pub(super) fn of(row: credit_hold::Model, balance: i64) -> Self {
        Self {
            id: row.id,
            status: row.status,
            feature: row.feature,
            quantity: row.quantity,
            reserved: row.reserved,
            captured: row.captured,
            reference: row.reference,
            balance,
            expires_at: row.expires_at.rfc3339(),
            created_at: row.created_at.rfc3339(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_by_field() {
        let catalog = Catalog::built_in();
        let input = ReserveCreditsRequest {
            feature: "mind_reading".into(),
            quantity: Some(0),
            reference: Some(" ".into()),
            expires_in: Some(86_401),
        };
        let errors = input.parse(&catalog).unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["expires_in", "feature", "quantity", "reference"]);
        let good = Use::new(&catalog, "suggest_reply", Some(240), None).unwrap();
        assert_eq!(good.credits(), 480);
    }
}

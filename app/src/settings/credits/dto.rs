//! Credits as the public API shows and takes them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::{EntryKind, HOLD_LIFE, HoldStatus, MAX_AT_ONCE, MAX_HOLD, MAX_REFERENCE_LEN};
use crate::catalog::Catalog;
use crate::contacts::model::text;
use crate::db::entity::{credit_entry, credit_hold};
use crate::domain::{CreditEntryId, CreditHoldId, FieldErrors};

/// What is used, and how often.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpendIn {
    /// The feature's id, as in the catalogue.
    #[schema(example = "suggest_reply")]
    pub feature: String,
    /// How often it is used; once unless told.
    #[schema(value_type = u32, minimum = 1, maximum = 10_000, default = 1, required = false)]
    pub quantity: Option<u32>,
    /// What it was for, in your own words or as your own id.
    #[schema(
        value_type = String,
        required = false,
        min_length = 1,
        max_length = 200,
        example = "chat 4711"
    )]
    pub reference: Option<String>,
}

/// What is to be set aside.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldIn {
    /// The feature's id, as in the catalogue.
    #[schema(example = "smart_automation")]
    pub feature: String,
    /// How often it will be used at most; once unless told.
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
    /// After how many seconds what was not captured comes back by itself.
    #[schema(value_type = u32, minimum = 1, maximum = 86_400, default = 900, required = false)]
    pub expires_in: Option<u32>,
}

/// How much of a hold was used.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureIn {
    /// How often the feature was used; as often as reserved unless told.
    #[schema(value_type = u32, minimum = 1, maximum = 10_000, required = false)]
    pub quantity: Option<u32>,
}

/// A use of a feature that holds to the rules, at the catalogue's price.
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
            format!("There is no such feature; there are {}", ids.join(", "))
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

impl SpendIn {
    pub fn parse(&self, catalog: &Catalog) -> Result<Use, FieldErrors> {
        Use::new(
            catalog,
            &self.feature,
            self.quantity,
            self.reference.as_deref(),
        )
    }
}

impl HoldIn {
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

/// What there is to spend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BalanceOut {
    /// All that can be spent.
    #[schema(example = 2320)]
    pub balance: i64,
    /// What the plan gave, and is spent first.
    #[schema(example = 2000)]
    pub plan: i64,
    /// What was bought, and does not expire.
    #[schema(example = 320)]
    pub purchased: i64,
    /// When the plan's credits end and its next come: RFC 3339, in UTC. Null where no plan gives any.
    #[schema(format = DateTime)]
    pub renews_at: Option<String>,
}

/// Who caused a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CreditActor)]
pub struct ActorOut {
    /// `person`, `key` or `system`.
    pub kind: String,
    pub name: String,
}

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CreditEntry)]
pub struct EntryOut {
    #[schema(value_type = String, example = "cen_01h455vb4pex5vsknk084sn02q")]
    pub id: CreditEntryId,
    pub kind: EntryKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "suggest_reply")]
    pub feature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 3)]
    pub quantity: Option<i64>,
    /// By how much the balance changed: below zero for what was spent.
    #[schema(example = -6)]
    pub amount: i64,
    /// What there was afterwards.
    #[schema(example = 2314)]
    pub balance: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "chat 4711")]
    pub reference: Option<String>,
    /// The hold that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "hold_01h455vb4pex5vsknk084sn02q")]
    pub hold: Option<CreditHoldId>,
    pub actor: ActorOut,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
}

impl From<credit_entry::Model> for EntryOut {
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
            actor: ActorOut {
                kind: row.actor_kind,
                name: row.actor_name,
            },
            created_at: row.created_at.rfc3339(),
        }
    }
}

/// Credits that are set aside, or were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CreditHold)]
pub struct HoldOut {
    #[schema(value_type = String, example = "hold_01h455vb4pex5vsknk084sn02q")]
    pub id: CreditHoldId,
    pub status: HoldStatus,
    #[schema(example = "smart_automation")]
    pub feature: String,
    pub quantity: i64,
    /// How many credits were set aside, and how many of them were spent in the end.
    #[schema(example = 40)]
    pub reserved: i64,
    #[schema(example = 0)]
    pub captured: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "run 12")]
    pub reference: Option<String>,
    /// What there is besides.
    #[schema(example = 2280)]
    pub balance: i64,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
}

impl HoldOut {
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
        let input = HoldIn {
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

//! Credits reserved for work in progress: the maximum cost is guaranteed, and the unused part is released.

use std::time::Duration;

use domain::catalog::EventType;
use domain::credits::{EntryKind, HoldStatus};
use domain::{AppError, CreditHoldId};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, Set};
use serde_json::json;

use super::dto::{CreditHold, Use};
use super::ledger::{Allocations, EntryDraft, LockedAccount, broken, first_of};
use crate::auth::{Permit, Principal, can};
use crate::db::Tx;
use crate::db::entity::{self, credit_entry, credit_hold};
use crate::events::Origin;

/// Reserves credits for a limited time. Unless captured or released, they return when it ends.
pub async fn reserve(
    tx: &mut Tx,
    principal: &Permit<can::SpendCredits, Principal>,
    wanted: &Use,
    lasting: Duration,
) -> Result<CreditHold, AppError> {
    let mut account = LockedAccount::open(tx, principal.workspace(), principal.mode()).await?;
    let before = account.balance;
    let parts = account.allocate(wanted.credits()).await?;
    let hold = credit_hold::ActiveModel {
        id: Set(CreditHoldId::new()),
        workspace_id: Set(account.workspace),
        mode: Set(account.mode),
        feature: Set(wanted.feature.clone()),
        quantity: Set(wanted.quantity),
        reserved: Set(wanted.credits()),
        captured: Set(0),
        reference: Set(wanted.reference.clone()),
        status: Set(HoldStatus::Held),
        expires_at: Set(account.at().after(lasting)),
        created_at: Set(account.at()),
        finished_at: Set(None),
    }
    .insert(account.tx)
    .await?;
    let line = EntryDraft {
        feature: Some(&hold.feature),
        quantity: Some(hold.quantity),
        reference: hold.reference.as_deref(),
        hold: Some(hold.id),
        ..EntryDraft::new(EntryKind::Hold)
    };
    let entry = account.write(&principal.into(), line, &parts).await?;
    let data = json!({
        "entry": entry.id, "hold": hold.id, "feature": hold.feature, "credits": hold.reserved, "balance": entry.balance,
    });
    account
        .record_event(principal.into(), EventType::CreditsReserved, data)
        .await?;
    account.warn(before).await?;
    Ok(CreditHold::of(hold, account.balance))
}

/// Spends the reserved credits or the used part of them. The rest is released.
pub async fn capture(
    tx: &mut Tx,
    principal: &Permit<can::SpendCredits, Principal>,
    id: CreditHoldId,
    quantity: Option<i64>,
) -> Result<CreditHold, AppError> {
    let mut account = LockedAccount::open(tx, principal.workspace(), principal.mode()).await?;
    let hold = standing(&mut account, id).await?;
    let quantity = quantity.unwrap_or(hold.quantity);
    if !(1..=hold.quantity).contains(&quantity) {
        return Err(AppError::field(
            "quantity",
            format!("Must be from 1 to {}, the reserved quantity", hold.quantity),
        ));
    }
    // At the price when the credits were reserved.
    let credits = hold.reserved / hold.quantity * quantity;
    let back = account.release_hold(&hold, &principal.into()).await?;
    let parts: Vec<_> = first_of(back, credits)
        .into_iter()
        .map(|(grant, part)| (grant, -part))
        .collect();
    let line = EntryDraft {
        feature: Some(&hold.feature),
        quantity: Some(quantity),
        reference: hold.reference.as_deref(),
        hold: Some(hold.id),
        ..EntryDraft::new(EntryKind::Spend)
    };
    account.spend(&principal.into(), line, &parts).await?;
    let hold = account.finish(&hold, HoldStatus::Captured, credits).await?;
    account.settle().await?;
    Ok(CreditHold::of(hold, account.balance))
}

/// Releases all reserved credits.
pub async fn release(
    tx: &mut Tx,
    principal: &Permit<can::SpendCredits, Principal>,
    id: CreditHoldId,
) -> Result<CreditHold, AppError> {
    let mut account = LockedAccount::open(tx, principal.workspace(), principal.mode()).await?;
    let hold = standing(&mut account, id).await?;
    account.release_hold(&hold, &principal.into()).await?;
    let hold = account.finish(&hold, HoldStatus::Released, 0).await?;
    account.settle().await?;
    Ok(CreditHold::of(hold, account.balance))
}

/// An active hold of this account.
async fn standing(
    account: &mut LockedAccount<'_>,
    id: CreditHoldId,
) -> Result<credit_hold::Model, AppError> {
    let hold = entity::CreditHold::find_by_id(id)
        .filter(credit_hold::Column::WorkspaceId.eq(account.workspace))
        .filter(credit_hold::Column::Mode.eq(account.mode))
        .one(account.tx)
        .await?
        .ok_or(AppError::NotFound)?;
    match hold.status {
        HoldStatus::Held => Ok(hold),
        ended => Err(AppError::Conflict(format!("This hold is already {ended}."))),
    }
}

impl LockedAccount<'_> {
    /// Puts the reserved credits back into their original grants. Returns their allocations.
    pub async fn release_hold(
        &mut self,
        hold: &credit_hold::Model,
        origin: &Origin,
    ) -> Result<Allocations, AppError> {
        let entry = entity::CreditEntry::find()
            .filter(credit_entry::Column::HoldId.eq(hold.id))
            .filter(credit_entry::Column::Kind.eq(EntryKind::Hold))
            .one(self.tx)
            .await?
            .ok_or_else(|| broken("a hold without its line"))?;
        let taken = self.parts(entry.id).await?;
        let back: Allocations = taken.into_iter().map(|(id, part)| (id, -part)).collect();
        let line = EntryDraft {
            feature: Some(&hold.feature),
            quantity: Some(hold.quantity),
            reference: hold.reference.as_deref(),
            hold: Some(hold.id),
            ..EntryDraft::new(EntryKind::Release)
        };
        let entry = self.write(origin, line, &back).await?;
        let data = json!({
            "entry": entry.id, "hold": hold.id, "feature": hold.feature, "credits": entry.amount, "balance": entry.balance,
        });
        self.record_event(origin.clone(), EventType::CreditsReleased, data)
            .await?;
        Ok(back)
    }

    /// Ends a hold, which must still be active.
    pub async fn finish(
        &mut self,
        hold: &credit_hold::Model,
        status: HoldStatus,
        captured: i64,
    ) -> Result<credit_hold::Model, AppError> {
        use credit_hold::Column;
        let ended = entity::CreditHold::update_many()
            .col_expr(Column::Status, Expr::value(status))
            .col_expr(Column::Captured, Expr::value(captured))
            .col_expr(Column::FinishedAt, Expr::value(self.at()))
            .filter(Column::Id.eq(hold.id))
            .filter(Column::Status.eq(HoldStatus::Held))
            .exec(self.tx)
            .await?;
        if ended.rows_affected != 1 {
            return Err(broken("a hold ended twice"));
        }
        Ok(credit_hold::Model {
            status,
            captured,
            finished_at: Some(self.at()),
            ..hold.clone()
        })
    }
}

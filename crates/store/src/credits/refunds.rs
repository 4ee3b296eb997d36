//! Refunds spent credits, and takes purchased credits back.

use domain::catalog::{EventType, Mode};
use domain::credits::EntryKind;
use domain::{AppError, CreditEntryId, WorkspaceId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter};
use serde_json::json;

use super::dto::CreditEntry;
use super::ledger::{EntryDraft, LockedAccount, day_of, first_of};
use crate::auth::Unattended;
use crate::db::Tx;
use crate::db::entity::{self, credit_daily_stat, credit_entry};
use crate::events::Origin;

/// Refunds spent credits, or part of them, to their original grants. For the operator only: otherwise a spender could
/// use the product for free.
pub async fn refund(
    _: Unattended,
    tx: &mut Tx,
    id: CreditEntryId,
    credits: Option<u32>,
) -> Result<CreditEntry, AppError> {
    let spent = entity::CreditEntry::find_by_id(id)
        .filter(credit_entry::Column::Kind.eq(EntryKind::Spend))
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    let mut account = LockedAccount::open(tx, spent.workspace_id, spent.mode).await?;
    let earlier = entity::CreditEntry::find()
        .filter(credit_entry::Column::Refunds.eq(id))
        .all(account.tx)
        .await?;
    let given: i64 = earlier.iter().map(|entry| entry.amount).sum();
    let left = -spent.amount - given;
    let wanted = credits.map_or(left, i64::from);
    if wanted == 0 || wanted > left {
        return Err(AppError::Conflict(format!(
            "Only {left} credits of this entry can be refunded."
        )));
    }
    // The last credits taken are refunded first: purchased credits before plan credits.
    let taken = account.parts(id).await?;
    let back = taken.into_iter().rev().map(|(grant, part)| (grant, -part));
    let untouched = skip(back, given);
    let line = EntryDraft {
        feature: spent.feature.as_deref(),
        reference: spent.reference.as_deref(),
        refunds: Some(id),
        ..EntryDraft::new(EntryKind::Refund)
    };
    let parts = first_of(untouched, wanted);
    let entry = account.write(&Origin::system(), line, &parts).await?;
    entity::CreditDailyStat::update_many()
        .col_expr(
            credit_daily_stat::Column::Credits,
            Expr::col(credit_daily_stat::Column::Credits).sub(wanted),
        )
        .filter(credit_daily_stat::Column::WorkspaceId.eq(spent.workspace_id))
        .filter(credit_daily_stat::Column::Mode.eq(spent.mode))
        .filter(credit_daily_stat::Column::Day.eq(day_of(spent.created_at)))
        .filter(credit_daily_stat::Column::Feature.eq(spent.feature.unwrap_or_default()))
        .exec(account.tx)
        .await?;
    let data =
        json!({"entry": entry.id, "refunds": id, "credits": wanted, "balance": entry.balance});
    account
        .record_event(Origin::system(), EventType::CreditsRefunded, data)
        .await?;
    account.settle().await?;
    Ok(entry.into())
}

/// Sets how many credits of the purchase `once` are taken back. Only unspent credits can be taken. If more were taken
/// earlier, the difference is granted again. Returns the numbers taken before and now; `None` if there is no such
/// purchase.
pub async fn set_taken_back(
    tx: &mut Tx,
    workspace: WorkspaceId,
    once: &str,
    credits: i64,
) -> Result<Option<(i64, i64)>, AppError> {
    let mut account = LockedAccount::open(tx, workspace, Mode::Live).await?;
    let Some(bought) = account.done(once).await? else {
        return Ok(None);
    };
    let earlier = entity::CreditEntry::find()
        .filter(credit_entry::Column::Refunds.eq(bought.id))
        .all(account.tx)
        .await?;
    let taken: i64 = earlier.iter().map(|entry| -entry.amount).sum();
    let grants = account.parts(bought.id).await?;
    let Some((grant, _)) = grants.first().copied() else {
        return Ok(None);
    };
    let left = entity::CreditGrant::find_by_id(grant)
        .one(account.tx)
        .await?
        .map_or(0, |grant| grant.remaining);
    let more = Ord::min(credits - taken, left);
    if more != 0 {
        let line = EntryDraft {
            refunds: Some(bought.id),
            ..EntryDraft::new(EntryKind::Refund)
        };
        account
            .write(&Origin::system(), line, &[(grant, -more)])
            .await?;
    }
    Ok(Some((taken, taken + more)))
}

/// The remainder of each amount after the first `credits`.
fn skip<I: Copy>(
    held: impl Iterator<Item = (I, i64)>,
    credits: i64,
) -> impl Iterator<Item = (I, i64)> {
    held.scan(credits, |passed, (id, there)| {
        let gone = Ord::min(there, *passed);
        *passed -= gone;
        Some((id, there - gone))
    })
}

//! Changes of a balance: granting, spending, refunding, renewing. Holds are in their own module.

pub mod dto;
pub mod holds;
pub(crate) mod ledger;
pub mod top_up;
mod usage;
pub mod verify;
pub mod view;

use domain::catalog::{Catalog, EventType, Mode, Plan};
use domain::credits::{EntryKind, GrantKind, HoldStatus};
use domain::{AppError, CreditEntryId, Timestamp, WorkspaceId, days};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::json;

use crate::auth::{Permit, Principal, can};
use crate::context::AppContext;
use crate::credits::dto::{CreditEntry, Use};
use crate::credits::ledger::{EntryDraft, LockedAccount, day_of, first_of};
use crate::db::Tx;
use crate::db::entity::{
    self, credit_account, credit_daily_stat, credit_entry, credit_grant, credit_hold,
};
use crate::events::Origin;

/// The maximum number of accounts that one round updates.
const ACCOUNTS_PER_ROUND: u64 = 200;

/// Spends credits. `once` identifies the request: a repeated request gets the first response again and spends nothing.
pub async fn spend(
    tx: &mut Tx,
    principal: &Permit<can::SpendCredits, Principal>,
    wanted: &Use,
    once: Option<&str>,
) -> Result<CreditEntry, AppError> {
    let mut account = LockedAccount::open(tx, principal.workspace(), principal.mode()).await?;
    spend_from(&mut account, &principal.into(), wanted, once).await
}

pub(super) async fn spend_from(
    account: &mut LockedAccount<'_>,
    origin: &Origin,
    wanted: &Use,
    once: Option<&str>,
) -> Result<CreditEntry, AppError> {
    if let Some(once) = once
        && let Some(entry) = account.done(once).await?
    {
        let same = entry.kind == EntryKind::Spend
            && entry.feature.as_deref() == Some(&wanted.feature)
            && entry.quantity == Some(wanted.quantity)
            && entry.reference == wanted.reference;
        return if same {
            Ok(entry.into())
        } else {
            Err(used_before())
        };
    }
    let parts = account.allocate(wanted.credits()).await?;
    let line = EntryDraft {
        feature: Some(&wanted.feature),
        quantity: Some(wanted.quantity),
        reference: wanted.reference.as_deref(),
        once,
        ..EntryDraft::new(EntryKind::Spend)
    };
    Ok(account.spend(origin, line, &parts).await?.into())
}

fn used_before() -> AppError {
    AppError::Conflict("This idempotency key was already used for a different request.".to_owned())
}

/// Adds purchased credits. `once` identifies the purchase: a repeated call adds nothing.
pub async fn purchase(
    tx: &mut Tx,
    workspace: WorkspaceId,
    origin: &Origin,
    credits: u32,
    once: &str,
) -> Result<CreditEntry, AppError> {
    let mut account = LockedAccount::open(tx, workspace, Mode::Live).await?;
    purchase_into(&mut account, origin, credits, once).await
}

pub(super) async fn purchase_into(
    account: &mut LockedAccount<'_>,
    origin: &Origin,
    credits: u32,
    once: &str,
) -> Result<CreditEntry, AppError> {
    if let Some(entry) = account.done(once).await? {
        let same = entry.kind == EntryKind::Purchase && entry.amount == i64::from(credits);
        return if same {
            Ok(entry.into())
        } else {
            Err(used_before())
        };
    }
    let line = EntryDraft {
        once: Some(once),
        ..EntryDraft::new(EntryKind::Purchase)
    };
    let entry = account
        .grant(origin, GrantKind::Purchased, credits, None, line)
        .await?;
    let data = json!({"entry": entry.id, "credits": credits, "balance": entry.balance});
    account
        .record_event(origin.clone(), EventType::CreditsPurchased, data)
        .await?;
    Ok(entry.into())
}

/// Creates a new workspace's live and test accounts, each with the credits of the trial's plan.
pub async fn open_trial(
    tx: &mut Tx,
    catalog: &Catalog,
    workspace: WorkspaceId,
    founder: &Origin,
) -> Result<(), AppError> {
    let plan = catalog
        .plan(&catalog.trial_plan)
        .ok_or(AppError::NotFound)?;
    let until = Timestamp::now().after(days(catalog.trial_days.into()));
    for mode in Mode::ALL {
        let mut account = LockedAccount::open(tx, workspace, mode).await?;
        give_plan(&mut account, founder, plan, until, "trial").await?;
    }
    Ok(())
}

/// Starts a plan period in both accounts: the last period's remaining credits expire, and new ones are granted. `once`
/// identifies the period: a repeated call changes nothing.
pub async fn renew(
    tx: &mut Tx,
    workspace: WorkspaceId,
    plan: &Plan,
    until: Timestamp,
    once: &str,
) -> Result<(), AppError> {
    for mode in Mode::ALL {
        let mut account = LockedAccount::open(tx, workspace, mode).await?;
        give_plan(&mut account, &Origin::system(), plan, until, once).await?;
    }
    Ok(())
}

/// Adds plan credits until the end of the current period. `once` identifies the reason.
pub async fn add_to_plan(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (plan, credits): (&Plan, u32),
    until: Timestamp,
    once: &str,
) -> Result<(), AppError> {
    for mode in Mode::ALL {
        let mut account = LockedAccount::open(tx, workspace, mode).await?;
        if account.done(once).await?.is_none() {
            put_plan(
                &mut account,
                &Origin::system(),
                (plan, credits),
                until,
                once,
            )
            .await?;
        }
    }
    Ok(())
}

pub(super) async fn give_plan(
    account: &mut LockedAccount<'_>,
    origin: &Origin,
    plan: &Plan,
    until: Timestamp,
    once: &str,
) -> Result<(), AppError> {
    if account.done(once).await?.is_some() {
        return Ok(());
    }
    let old = entity::CreditGrant::find()
        .filter(credit_grant::Column::WorkspaceId.eq(account.workspace))
        .filter(credit_grant::Column::Mode.eq(account.mode))
        .filter(credit_grant::Column::Kind.eq(GrantKind::Plan))
        .filter(credit_grant::Column::ExpiresAt.gt(account.at()))
        .all(account.tx)
        .await?;
    for grant in old {
        if grant.remaining > 0 {
            account.expire_grant(&grant).await?;
        }
        // Held credits of the grant still count. If they are released, they expire immediately.
        entity::CreditGrant::update_many()
            .col_expr(credit_grant::Column::ExpiresAt, Expr::value(account.at()))
            .filter(credit_grant::Column::Id.eq(grant.id))
            .exec(account.tx)
            .await?;
    }
    put_plan(account, origin, (plan, plan.credits), until, once).await
}

async fn put_plan(
    account: &mut LockedAccount<'_>,
    origin: &Origin,
    (plan, credits): (&Plan, u32),
    until: Timestamp,
    once: &str,
) -> Result<(), AppError> {
    let line = EntryDraft {
        reference: Some(&plan.name),
        once: Some(once),
        ..EntryDraft::new(EntryKind::Grant)
    };
    let entry = account
        .grant(origin, GrantKind::Plan, credits, Some(until), line)
        .await?;
    let data = json!({
        "entry": entry.id, "credits": credits, "plan": plan.id, "name": plan.name, "balance": entry.balance,
        "expires_at": until.rfc3339(),
    });
    account
        .record_event(origin.clone(), EventType::CreditsGranted, data)
        .await
}

/// Refunds spent credits, or part of them, to their original grants. For the operator only: otherwise a spender could
/// use the product for free.
pub async fn refund(
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

/// Sets the balance below which people are warned. `None` uses the default of the plan.
pub async fn set_low_balance_threshold(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    mark: Option<i64>,
) -> Result<(), AppError> {
    use credit_account::Column;
    let mut tx = ctx.db().begin().await?;
    let mut account = LockedAccount::open(&mut tx, actor.workspace(), Mode::Live).await?;
    if account.low_balance_threshold != mark {
        entity::CreditAccount::update_many()
            .col_expr(Column::LowBalanceThreshold, Expr::value(mark))
            .filter(Column::WorkspaceId.eq(actor.workspace()))
            .filter(Column::Mode.eq(Mode::Live))
            .exec(account.tx)
            .await?;
        let data = json!({"from": account.low_balance_threshold, "to": mark});
        account
            .record_event(actor.into(), EventType::CreditsWarningChanged, data)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Applies due changes to an account, so that reads of it are current.
pub async fn apply_expiries(
    ctx: &AppContext,
    workspace: WorkspaceId,
    mode: Mode,
) -> Result<(), AppError> {
    let due = due(ctx, ACCOUNTS_PER_ROUND, Some((workspace, mode))).await?;
    settle(ctx, due).await.map(|_| ())
}

/// Applies due changes to every account that has any. Returns their number.
pub async fn sweep(ctx: &AppContext) -> Result<u64, AppError> {
    let due = due(ctx, ACCOUNTS_PER_ROUND, None).await?;
    settle(ctx, due).await
}

async fn settle(ctx: &AppContext, due: Vec<(WorkspaceId, Mode)>) -> Result<u64, AppError> {
    let mut accounts = 0;
    for (workspace, mode) in due {
        let mut tx = ctx.db().begin().await?;
        LockedAccount::open(&mut tx, workspace, mode).await?;
        tx.commit().await?;
        accounts += 1;
    }
    Ok(accounts)
}

async fn due(
    ctx: &AppContext,
    limit: u64,
    account: Option<(WorkspaceId, Mode)>,
) -> Result<Vec<(WorkspaceId, Mode)>, AppError> {
    use {credit_grant::Column as Grant, credit_hold::Column as Hold};
    let now = Timestamp::now();
    let mut grants = entity::CreditGrant::find()
        .filter(Grant::Remaining.gt(0))
        .filter(Grant::ExpiresAt.lte(now));
    let mut holds = entity::CreditHold::find()
        .filter(Hold::Status.eq(HoldStatus::Held))
        .filter(Hold::ExpiresAt.lte(now));
    if let Some((workspace, mode)) = account {
        grants = grants
            .filter(Grant::WorkspaceId.eq(workspace))
            .filter(Grant::Mode.eq(mode));
        holds = holds
            .filter(Hold::WorkspaceId.eq(workspace))
            .filter(Hold::Mode.eq(mode));
    }
    let mut accounts: Vec<(WorkspaceId, Mode)> = grants
        .order_by_asc(Grant::ExpiresAt)
        .select_only()
        .columns([Grant::WorkspaceId, Grant::Mode])
        .limit(limit)
        .into_tuple()
        .all(ctx.db().read())
        .await?;
    accounts.extend(
        holds
            .order_by_asc(Hold::ExpiresAt)
            .select_only()
            .columns([Hold::WorkspaceId, Hold::Mode])
            .limit(limit)
            .into_tuple::<(WorkspaceId, Mode)>()
            .all(ctx.db().read())
            .await?,
    );
    accounts.sort_unstable();
    accounts.dedup();
    Ok(accounts)
}

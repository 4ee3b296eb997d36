//! Changes that are due: expired credits and holds.

use domain::catalog::Mode;
use domain::credits::HoldStatus;
use domain::{AppError, Timestamp, WorkspaceId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::ledger::LockedAccount;
use crate::context::AppContext;
use crate::db::entity::{self, credit_grant, credit_hold};

/// The maximum number of accounts that one round updates.
const ACCOUNTS_PER_ROUND: u64 = 200;

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

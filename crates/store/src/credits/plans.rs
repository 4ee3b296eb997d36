//! The credits of a plan: granted at the start of a trial or a period, and when a plan is upgraded.

use domain::catalog::{Catalog, EventType, Mode, Plan};
use domain::credits::{EntryKind, GrantKind};
use domain::{AppError, Timestamp, WorkspaceId, days};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use super::ledger::{EntryDraft, LockedAccount};
use crate::auth::Unattended;
use crate::db::Tx;
use crate::db::entity::{self, credit_grant};
use crate::events::Origin;

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
    _: Unattended,
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

pub(crate) async fn give_plan(
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

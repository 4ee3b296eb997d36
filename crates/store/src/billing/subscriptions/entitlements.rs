//! What a workspace can use: its plan, and whether it is frozen.

use domain::subscriptions::{Entitlements, SubscriptionStatus};
use domain::{AppError, Timestamp, WorkspaceId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::row::plan_in_use;
use crate::auth::Principal;
use crate::context::AppContext;
use crate::db::entity::subscription;
use crate::db::{Tx, entity};

/// Plans missing from the catalog that subscriptions use now or next. They could not be renewed.
pub async fn plans_that_are_missing(ctx: &AppContext) -> Result<Vec<String>, AppError> {
    use subscription::Column;
    let live = [SubscriptionStatus::Active, SubscriptionStatus::PastDue];
    let mut missing = Vec::new();
    for column in [Column::Plan, Column::NextPlan] {
        let plans: Vec<String> = entity::Subscription::find()
            .filter(Column::Status.is_in(live))
            .filter(column.is_not_null())
            .select_only()
            .column(column)
            .distinct()
            .into_tuple()
            .all(ctx.db().read())
            .await?;
        missing.extend(
            plans
                .into_iter()
                .filter(|plan| ctx.catalog().plan(plan).is_none()),
        );
    }
    missing.sort_unstable();
    missing.dedup();
    Ok(missing)
}

/// The entitlements of a workspace. Every principal of the workspace can read them.
pub async fn entitlements(
    ctx: &AppContext,
    principal: &Principal,
    now: Timestamp,
) -> Result<Entitlements, AppError> {
    let row = entity::Subscription::find_by_id(principal.workspace())
        .one(ctx.db().read())
        .await?
        .ok_or(AppError::NotFound)?;
    let catalog = ctx.catalog();
    let (plan, frozen) = (plan_in_use(catalog, &row), row.is_frozen(now));
    let trial = row.status == SubscriptionStatus::Trial;
    Ok(Entitlements {
        // A trial includes every feature that can be tried.
        cdr_mode: !frozen && (row.cdr_mode || trial && plan.is_some_and(|plan| plan.cdr_mode)),
        plan: plan.cloned(),
        status: row.status_at(now),
        frozen,
        ends_at: row.ends_at,
        plan_id: Some(row.plan.unwrap_or_else(|| catalog.trial_plan.clone())),
    })
}

/// Joining changes a workspace, but a person who joins has no membership yet that shows whether it is frozen.
pub async fn ensure_not_frozen(tx: &Tx, workspace: WorkspaceId) -> Result<(), AppError> {
    let row = entity::Subscription::find_by_id(workspace).one(tx).await?;
    let frozen = row.is_some_and(|row| row.is_frozen(Timestamp::now()));
    if frozen {
        Err(AppError::Frozen)
    } else {
        Ok(())
    }
}

//! Seats: how many people a plan allows. An invitation takes a seat from its creation, so that every invited person can
//! join.

use domain::catalog::Catalog;
use domain::{AppError, Timestamp, WorkspaceId};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Select};

use crate::billing::subscriptions::plan_in_use;
use crate::db::Tx;
use crate::db::entity::{self, invitation, membership};

fn members(workspace: WorkspaceId) -> Select<entity::Membership> {
    entity::Membership::find().filter(membership::Column::WorkspaceId.eq(workspace))
}

fn invited(workspace: WorkspaceId) -> Select<entity::Invitation> {
    use invitation::Column;
    entity::Invitation::find()
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::AcceptedAt.is_null())
        .filter(Column::CancelledAt.is_null())
        .filter(Column::ExpiresAt.gt(Timestamp::now()))
}

/// The number of taken seats: members and invitations that can be accepted.
pub async fn used(db: &impl ConnectionTrait, workspace: WorkspaceId) -> Result<u64, AppError> {
    Ok(members(workspace).count(db).await? + invited(workspace).count(db).await?)
}

/// Refuses a change that needs one more seat than the plan has. Call it under the workspace's lock.
pub async fn require_one(
    tx: &Tx,
    catalog: &Catalog,
    workspace: WorkspaceId,
) -> Result<(), AppError> {
    require(tx, catalog, workspace, used(tx, workspace).await?).await
}

/// Refuses an invited person whose seat is taken: the plan may be smaller than when they were invited.
pub async fn require_place(
    tx: &Tx,
    catalog: &Catalog,
    workspace: WorkspaceId,
) -> Result<(), AppError> {
    require(tx, catalog, workspace, members(workspace).count(tx).await?).await
}

async fn require(
    tx: &Tx,
    catalog: &Catalog,
    workspace: WorkspaceId,
    taken: u64,
) -> Result<(), AppError> {
    let row = entity::Subscription::find_by_id(workspace).one(tx).await?;
    let plan = row.as_ref().and_then(|row| plan_in_use(catalog, row));
    match plan {
        Some(plan) if taken >= u64::from(plan.seats) => Err(AppError::LimitReached(format!(
            "All {} seats on {} are in use. Upgrade your plan or remove someone to invite more people.",
            plan.seats, plan.name
        ))),
        // A plan that is missing from the catalog has no known limit.
        Some(_) | None => Ok(()),
    }
}

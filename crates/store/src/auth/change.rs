//! How a change begins that must not overlap with others in its workspace.

use domain::AppError;

use super::actor::Actor;
use super::permit::{Granted, Permit};
use super::sessions::{lock_workspace, reload_actor};
use crate::context::AppContext;
use crate::db::Tx;

/// Begins a change: one at a time in the workspace, and by someone who still has the permission under the lock.
pub async fn begin_change<P: Granted>(
    ctx: &AppContext,
    permit: &Permit<P>,
) -> Result<(Tx, Actor), AppError> {
    let tx = ctx.db().begin().await?;
    lock_workspace(&tx, permit.workspace()).await?;
    let actor = reload_actor(&tx, permit).await?;
    actor.require(P::PERMISSION)?;
    Ok((tx, actor))
}

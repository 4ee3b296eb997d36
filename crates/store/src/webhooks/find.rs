//! Finds the webhooks that a caller can see.

use domain::catalog::Mode;
use domain::{AppError, Timestamp, Topic, WebhookId, WorkspaceId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::auth::Principal;
use crate::db::entity::webhook::{self, Column};
use crate::db::{Tx, entity};
use crate::live::Invalidation;

/// The webhooks that an principal can see: those of their workspace, and for a test key only those of test mode. People and
/// live keys see both, because they also look after failing test webhooks.
pub(super) fn of(principal: &Principal) -> sea_orm::Select<entity::Webhook> {
    let all = entity::Webhook::find().filter(Column::WorkspaceId.eq(principal.workspace()));
    match principal.mode() {
        Mode::Live => all,
        Mode::Test => all.filter(Column::Mode.eq(Mode::Test)),
    }
}

/// The only finder. A webhook of another workspace does not exist, nor does a live webhook for a test key.
pub(super) async fn row(
    connection: &impl ConnectionTrait,
    principal: &Principal,
    id: WebhookId,
) -> Result<webhook::Model, AppError> {
    of(principal)
        .filter(Column::Id.eq(id))
        .one(connection)
        .await?
        .ok_or(AppError::NotFound)
}

/// The same, locked against concurrent changes.
pub(super) async fn locked(
    tx: &Tx,
    principal: &Principal,
    id: WebhookId,
) -> Result<webhook::Model, AppError> {
    of(principal)
        .filter(Column::Id.eq(id))
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)
}

/// Sends pending deliveries immediately in spite of earlier failures, because someone asked for it.
pub(super) async fn unblock(tx: &Tx, id: WebhookId) -> Result<(), AppError> {
    entity::Webhook::update_many()
        .col_expr(Column::CircuitOpenUntil, Expr::value(None::<Timestamp>))
        .filter(Column::Id.eq(id))
        .filter(Column::CircuitOpenUntil.is_not_null())
        .exec(tx)
        .await?;
    Ok(())
}

pub(super) fn invalidate(tx: &mut Tx, workspace: WorkspaceId) {
    tx.invalidate(Invalidation::workspace(workspace, Topic::Deliveries));
}

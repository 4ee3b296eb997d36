//! The balance below which people are warned.

use domain::AppError;
use domain::catalog::{EventType, Mode};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use super::ledger::LockedAccount;
use crate::auth::{Permit, can};
use crate::context::AppContext;
use crate::db::entity::{self, credit_account};

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

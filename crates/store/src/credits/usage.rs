//! Usage: spent credits are counted by day, and people are notified when few credits are left.

use domain::catalog::{EventType, Mode};
use domain::credits::{GrantKind, LOW_PART};
use domain::{AppError, CreditGrantId, WorkspaceId};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use serde_json::json;

use super::ledger::{EntryDraft, LockedAccount, day_of};
use crate::db::entity::{self, credit_daily_stat, credit_entry, credit_grant};
use crate::events::Origin;

/// A plan grants credits at the start of a period, and more with each upgrade.
const GRANTS_A_PERIOD: u64 = 8;

/// The default balance below which people are warned: a part of the plan's credits for this period.
pub(super) async fn default_threshold(
    db: &impl ConnectionTrait,
    workspace: WorkspaceId,
    mode: Mode,
) -> Result<i64, AppError> {
    let given = entity::CreditGrant::find()
        .filter(credit_grant::Column::WorkspaceId.eq(workspace))
        .filter(credit_grant::Column::Mode.eq(mode))
        .filter(credit_grant::Column::Kind.eq(GrantKind::Plan))
        .order_by_desc(credit_grant::Column::Id)
        .limit(GRANTS_A_PERIOD)
        .all(db)
        .await?;
    let until = given.first().and_then(|grant| grant.expires_at);
    let of_period = given.iter().take_while(|grant| grant.expires_at == until);
    Ok(of_period.map(|grant| grant.amount).sum::<i64>() / LOW_PART)
}

impl LockedAccount<'_> {
    /// Writes an entry for spent credits, counts them, and records the event.
    pub async fn spend(
        &mut self,
        origin: &Origin,
        line: EntryDraft<'_>,
        parts: &[(CreditGrantId, i64)],
    ) -> Result<credit_entry::Model, AppError> {
        let before = self.balance;
        let entry = self.write(origin, line, parts).await?;
        let feature = entry.feature.as_deref().unwrap_or_default();
        self.count(feature, -entry.amount).await?;
        let data = json!({
            "entry": entry.id, "feature": feature, "quantity": entry.quantity, "credits": -entry.amount,
            "reference": entry.reference, "balance": entry.balance,
        });
        self.record_event(origin.clone(), EventType::CreditsSpent, data)
            .await?;
        self.warn(before).await?;
        Ok(entry)
    }

    /// Adds to today's usage in the chart.
    async fn count(&mut self, feature: &str, credits: i64) -> Result<(), AppError> {
        use credit_daily_stat::Column;
        let row = credit_daily_stat::ActiveModel {
            workspace_id: Set(self.workspace),
            mode: Set(self.mode),
            day: Set(day_of(self.at())),
            feature: Set(feature.to_owned()),
            credits: Set(credits),
        };
        let sum = Expr::col((credit_daily_stat::Entity, Column::Credits)).add(credits);
        entity::CreditDailyStat::insert(row)
            .on_conflict(
                OnConflict::columns([
                    Column::WorkspaceId,
                    Column::Mode,
                    Column::Day,
                    Column::Feature,
                ])
                .value(Column::Credits, sum)
                .to_owned(),
            )
            .exec_without_returning(self.tx)
            .await?;
        Ok(())
    }

    /// Warns once when the balance falls below the threshold, not while it stays there. Requests a top-up as long as
    /// the balance is below the threshold.
    pub async fn warn(&mut self, before: i64) -> Result<(), AppError> {
        let mark = self.top_up_mark().await?;
        if self.balance >= mark {
            return Ok(());
        }
        self.request_top_up(mark).await?;
        if before < mark || self.low_balance_threshold == Some(0) {
            return Ok(());
        }
        let data = json!({"balance": self.balance});
        self.record_event(Origin::system(), EventType::CreditsLow, data)
            .await
    }
}

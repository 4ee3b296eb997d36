//! Adds purchased credits.

use domain::catalog::{EventType, Mode};
use domain::credits::{EntryKind, GrantKind};
use domain::{AppError, WorkspaceId};
use serde_json::json;

use super::dto::CreditEntry;
use super::ledger::{EntryDraft, LockedAccount};
use super::spending::used_before;
use crate::auth::Unattended;
use crate::db::Tx;
use crate::events::Origin;

/// Adds purchased credits. `once` identifies the purchase: a repeated call adds nothing.
pub async fn purchase(
    _: Unattended,
    tx: &mut Tx,
    workspace: WorkspaceId,
    origin: &Origin,
    credits: u32,
    once: &str,
) -> Result<CreditEntry, AppError> {
    let mut account = LockedAccount::open(tx, workspace, Mode::Live).await?;
    purchase_into(&mut account, origin, credits, once).await
}

pub(crate) async fn purchase_into(
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

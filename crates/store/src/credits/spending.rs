//! Spends credits.

use domain::AppError;
use domain::credits::EntryKind;

use super::dto::{CreditEntry, Use};
use super::ledger::{EntryDraft, LockedAccount};
use crate::auth::{Permit, Principal, can};
use crate::db::Tx;
use crate::events::Origin;

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

pub(crate) async fn spend_from(
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

pub(super) fn used_before() -> AppError {
    AppError::Conflict("This idempotency key was already used for a different request.".to_owned())
}

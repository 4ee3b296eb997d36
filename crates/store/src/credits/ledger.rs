//! The ledger. An account is a workspace's credits in one mode. Every change locks the account's row until its
//! transaction ends, so that data read under the lock stays true and concurrent changes run one after another. Every
//! change is an entry with allocations, one for each grant that it takes from or adds to. Nothing else changes a
//! balance, so the entries prove every balance at any time (`verify`).

use domain::catalog::{EventType, Mode};
use domain::credits::{EntryKind, GrantKind, HoldStatus};
use domain::{AppError, CreditEntryId, CreditGrantId, CreditHoldId, Timestamp, WorkspaceId};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use serde_json::{Value, json};

use crate::db::Tx;
use crate::db::entity::{
    self, credit_account, credit_allocation, credit_entry, credit_grant, credit_hold,
};
use crate::events::{self, NewEvent, Origin};

/// Milliseconds.
pub(crate) const DAY: i64 = 86_400_000;

/// The amount of an entry for each grant.
pub(crate) type Allocations = Vec<(CreditGrantId, i64)>;

/// A workspace's credits in one mode, locked.
pub(crate) struct LockedAccount<'a> {
    pub tx: &'a mut Tx,
    pub workspace: WorkspaceId,
    pub mode: Mode,
    pub balance: i64,
    lines: i64,
    /// The balance below which people are warned, if set.
    pub low_balance_threshold: Option<i64>,
    at: Timestamp,
    /// Whether `at` is a day of the demo's past.
    past: bool,
}

/// The properties of an entry besides its amount.
pub(crate) struct EntryDraft<'a> {
    pub kind: EntryKind,
    pub feature: Option<&'a str>,
    pub quantity: Option<i64>,
    pub reference: Option<&'a str>,
    pub once: Option<&'a str>,
    pub hold: Option<CreditHoldId>,
    pub refunds: Option<CreditEntryId>,
}

impl EntryDraft<'_> {
    pub fn new(kind: EntryKind) -> Self {
        Self {
            kind,
            feature: None,
            quantity: None,
            reference: None,
            once: None,
            hold: None,
            refunds: None,
        }
    }
}

/// The error for an inconsistent ledger, which `verify` would also report. The fault is in Wheelhouse.
pub(crate) fn broken(what: &str) -> AppError {
    DbErr::Custom(format!("credits: {what}")).into()
}

pub(crate) fn day_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(DAY)
}

impl<'a> LockedAccount<'a> {
    /// Locks the account and applies every change that is due by now.
    pub async fn open(
        tx: &'a mut Tx,
        workspace: WorkspaceId,
        mode: Mode,
    ) -> Result<Self, AppError> {
        Self::open_when(tx, workspace, mode, Timestamp::now(), false).await
    }

    /// [`LockedAccount::open`] on a day of the demo's past.
    pub async fn open_at(
        tx: &'a mut Tx,
        workspace: WorkspaceId,
        mode: Mode,
        at: Timestamp,
    ) -> Result<Self, AppError> {
        Self::open_when(tx, workspace, mode, at, true).await
    }

    async fn open_when(
        tx: &'a mut Tx,
        workspace: WorkspaceId,
        mode: Mode,
        at: Timestamp,
        past: bool,
    ) -> Result<Self, AppError> {
        let find = || entity::CreditAccount::find_by_id((workspace, mode)).lock_exclusive();
        let row = if let Some(row) = find().one(tx).await? {
            row
        } else {
            let row = credit_account::ActiveModel {
                workspace_id: Set(workspace),
                mode: Set(mode),
                balance: Set(0),
                entries: Set(0),
                low_balance_threshold: Set(None),
            };
            // Another request may create the account at the same moment. This insert waits for it.
            entity::CreditAccount::insert(row)
                .on_conflict(
                    OnConflict::columns([
                        credit_account::Column::WorkspaceId,
                        credit_account::Column::Mode,
                    ])
                    .do_nothing()
                    .to_owned(),
                )
                .exec_without_returning(tx)
                .await?;
            find().one(tx).await?.ok_or(AppError::NotFound)?
        };
        let mut account = Self {
            tx,
            workspace,
            mode,
            balance: row.balance,
            lines: row.entries,
            low_balance_threshold: row.low_balance_threshold,
            at,
            past,
        };
        account.settle().await?;
        Ok(account)
    }

    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Releases expired holds, then expires grants. The order matters: credits released to an expired plan grant expire
    /// with it.
    pub async fn settle(&mut self) -> Result<(), AppError> {
        let overdue = entity::CreditHold::find()
            .filter(credit_hold::Column::WorkspaceId.eq(self.workspace))
            .filter(credit_hold::Column::Mode.eq(self.mode))
            .filter(credit_hold::Column::Status.eq(HoldStatus::Held))
            .filter(credit_hold::Column::ExpiresAt.lte(self.at))
            .order_by_asc(credit_hold::Column::Id)
            .all(self.tx)
            .await?;
        for hold in overdue {
            self.release_hold(&hold, &Origin::system()).await?;
            self.finish(&hold, HoldStatus::Expired, 0).await?;
        }
        let expired = entity::CreditGrant::find()
            .filter(credit_grant::Column::WorkspaceId.eq(self.workspace))
            .filter(credit_grant::Column::Mode.eq(self.mode))
            .filter(credit_grant::Column::Remaining.gt(0))
            .filter(credit_grant::Column::ExpiresAt.lte(self.at))
            .order_by_asc(credit_grant::Column::Id)
            .all(self.tx)
            .await?;
        for grant in expired {
            self.expire_grant(&grant).await?;
        }
        Ok(())
    }

    /// Expires the remainder of a grant.
    pub async fn expire_grant(&mut self, grant: &credit_grant::Model) -> Result<(), AppError> {
        let parts = vec![(grant.id, -grant.remaining)];
        let line = EntryDraft::new(EntryKind::Expiry);
        let entry = self.write(&Origin::system(), line, &parts).await?;
        let data = json!({"entry": entry.id, "credits": grant.remaining, "balance": self.balance});
        self.record_event(Origin::system(), EventType::CreditsExpired, data)
            .await
    }

    /// Adds a grant of credits.
    pub async fn grant(
        &mut self,
        origin: &Origin,
        kind: GrantKind,
        credits: u32,
        expires_at: Option<Timestamp>,
        line: EntryDraft<'_>,
    ) -> Result<credit_entry::Model, AppError> {
        let id = if self.past {
            CreditGrantId::at(self.at)
        } else {
            CreditGrantId::new()
        };
        credit_grant::ActiveModel {
            id: Set(id),
            workspace_id: Set(self.workspace),
            mode: Set(self.mode),
            kind: Set(kind),
            amount: Set(credits.into()),
            // The entry adds the credits.
            remaining: Set(0),
            expires_at: Set(expires_at),
            granted_at: Set(self.at),
        }
        .insert(self.tx)
        .await?;
        self.write(origin, line, &[(id, credits.into())]).await
    }

    /// The grants that `credits` come from: plan grants first, since they expire, then the oldest purchased ones.
    pub async fn allocate(&mut self, credits: i64) -> Result<Allocations, AppError> {
        if credits > self.balance {
            return Err(self.short(credits));
        }
        let grants = entity::CreditGrant::find()
            .filter(credit_grant::Column::WorkspaceId.eq(self.workspace))
            .filter(credit_grant::Column::Mode.eq(self.mode))
            .filter(credit_grant::Column::Remaining.gt(0))
            // Alphabetically, "plan" precedes "purchased"; ids are in order of time.
            .order_by_asc(credit_grant::Column::Kind)
            .order_by_asc(credit_grant::Column::Id)
            .all(self.tx)
            .await?;
        let left = grants.into_iter().map(|grant| (grant.id, grant.remaining));
        let parts = first_of(left, credits);
        if parts.iter().map(|(_, part)| part).sum::<i64>() != credits {
            return Err(broken("the grants hold less than the balance says"));
        }
        Ok(parts.into_iter().map(|(id, part)| (id, -part)).collect())
    }

    fn short(&self, needed: i64) -> AppError {
        AppError::CreditsShort {
            needed,
            balance: self.balance,
        }
    }

    /// Adds an entry. Conditional updates refuse to take missing credits, whatever was read before.
    pub async fn write(
        &mut self,
        origin: &Origin,
        line: EntryDraft<'_>,
        parts: &[(CreditGrantId, i64)],
    ) -> Result<credit_entry::Model, AppError> {
        use credit_account::Column as Account;
        use credit_grant::Column as Grant;
        let amount: i64 = parts.iter().map(|(_, part)| part).sum();
        let moved = entity::CreditAccount::update_many()
            .col_expr(Account::Balance, Expr::col(Account::Balance).add(amount))
            .col_expr(Account::Entries, Expr::col(Account::Entries).add(1_i64))
            .filter(Account::WorkspaceId.eq(self.workspace))
            .filter(Account::Mode.eq(self.mode))
            .filter(Account::Balance.gte(-amount))
            .exec(self.tx)
            .await?;
        if moved.rows_affected != 1 {
            return Err(self.short(-amount));
        }
        self.balance += amount;
        self.lines += 1;
        for (grant, part) in parts {
            let moved = entity::CreditGrant::update_many()
                .col_expr(Grant::Remaining, Expr::col(Grant::Remaining).add(*part))
                .filter(Grant::Id.eq(*grant))
                .filter(Grant::Remaining.gte(-*part))
                .exec(self.tx)
                .await?;
            if moved.rows_affected != 1 {
                return Err(broken("a grant holds less than was read of it"));
            }
        }
        let (actor_kind, actor_id, actor_name) = origin.parts();
        let entry = credit_entry::ActiveModel {
            id: Set(if self.past {
                CreditEntryId::at(self.at)
            } else {
                CreditEntryId::new()
            }),
            workspace_id: Set(self.workspace),
            mode: Set(self.mode),
            number: Set(self.lines),
            kind: Set(line.kind),
            feature: Set(line.feature.map(str::to_owned)),
            quantity: Set(line.quantity),
            amount: Set(amount),
            balance: Set(self.balance),
            reference: Set(line.reference.map(str::to_owned)),
            idempotency_key: Set(line.once.map(str::to_owned)),
            hold_id: Set(line.hold),
            refunds: Set(line.refunds),
            actor_kind: Set(actor_kind.to_owned()),
            actor_id: Set(actor_id),
            actor_name: Set(actor_name.to_owned()),
            created_at: Set(self.at),
        }
        .insert(self.tx)
        .await?;
        let parts = parts
            .iter()
            .map(|(grant, amount)| credit_allocation::ActiveModel {
                entry_id: Set(entry.id),
                grant_id: Set(*grant),
                amount: Set(*amount),
            });
        entity::CreditAllocation::insert_many(parts)
            .exec_without_returning(self.tx)
            .await?;
        Ok(entry)
    }

    /// The earlier entry with this key, if there is one.
    pub async fn done(&mut self, once: &str) -> Result<Option<credit_entry::Model>, AppError> {
        Ok(entity::CreditEntry::find()
            .filter(credit_entry::Column::WorkspaceId.eq(self.workspace))
            .filter(credit_entry::Column::Mode.eq(self.mode))
            .filter(credit_entry::Column::IdempotencyKey.eq(once))
            .one(self.tx)
            .await?)
    }

    /// The allocations of an entry, in the order in which credits were taken.
    pub async fn parts(&mut self, entry: CreditEntryId) -> Result<Allocations, AppError> {
        let parts = entity::CreditAllocation::find()
            .filter(credit_allocation::Column::EntryId.eq(entry))
            .all(self.tx)
            .await?;
        let ids: Vec<CreditGrantId> = parts.iter().map(|part| part.grant_id).collect();
        let order: Vec<CreditGrantId> = entity::CreditGrant::find()
            .filter(credit_grant::Column::Id.is_in(ids))
            .order_by_asc(credit_grant::Column::Kind)
            .order_by_asc(credit_grant::Column::Id)
            .all(self.tx)
            .await?
            .into_iter()
            .map(|grant| grant.id)
            .collect();
        let part_of = |id: CreditGrantId| parts.iter().find(|part| part.grant_id == id);
        Ok(order
            .into_iter()
            .filter_map(|id| Some((id, part_of(id)?.amount)))
            .collect())
    }

    /// Records an event.
    pub async fn record_event(
        &mut self,
        origin: Origin,
        event_type: EventType,
        data: Value,
    ) -> Result<(), AppError> {
        let event = NewEvent::in_workspace(self.workspace, event_type, data).in_mode(self.mode);
        if self.past {
            events::record_at(self.tx, origin, event, self.at).await?;
        } else {
            events::record(self.tx, origin, event).await?;
        }
        Ok(())
    }
}

/// The first `credits` of these amounts, in order.
pub(crate) fn first_of(
    held: impl IntoIterator<Item = (CreditGrantId, i64)>,
    credits: i64,
) -> Allocations {
    let mut missing = credits;
    let mut parts = Allocations::new();
    for (id, there) in held {
        let part = Ord::min(there, missing);
        if part > 0 {
            parts.push((id, part));
            missing -= part;
        }
    }
    parts
}

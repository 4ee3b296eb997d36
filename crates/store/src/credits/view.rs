//! Reads credits for pages and the public API.

use domain::catalog::{Catalog, Feature};
use domain::credits::{
    BUYS, CHART_DAYS, CreditsView, Day, EntryKind, EntryRow, GrantKind, PACE_DAYS, PAGE, lasts,
    times,
};
use domain::subscriptions::SubscriptionStatus;
use domain::{AppError, CreditEntryId, Permission, Timestamp, grouped};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QueryTrait};

use super::dto::{CreditBalance, CreditEntry};
use super::expiries::apply_expiries;
use super::ledger::{DAY, day_of};
use super::top_up;
use super::usage::default_threshold;
use crate::auth::{Permit, Principal, Sensitive, can};
use crate::context::AppContext;
use crate::csv;
use crate::db::entity::{self, credit_daily_stat, credit_entry, credit_grant};
use crate::db::rows;
use crate::db::rows::page_of;

/// The available credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    pub plan: i64,
    pub purchased: i64,
    pub renews_at: Option<Timestamp>,
}

impl Balance {
    pub fn total(self) -> i64 {
        self.plan + self.purchased
    }
}

impl From<Balance> for CreditBalance {
    fn from(balance: Balance) -> Self {
        Self {
            balance: balance.total(),
            plan: balance.plan,
            purchased: balance.purchased,
            renews_at: balance.renews_at.map(Timestamp::rfc3339),
        }
    }
}

pub async fn balance(
    ctx: &AppContext,
    principal: &Permit<can::SeeCredits, Principal>,
) -> Result<Balance, AppError> {
    use credit_grant::Column;
    apply_expiries(ctx, principal.workspace(), principal.mode()).await?;
    let grants = entity::CreditGrant::find()
        .filter(Column::WorkspaceId.eq(principal.workspace()))
        .filter(Column::Mode.eq(principal.mode()))
        .filter(
            Condition::any()
                .add(Column::Remaining.gt(0))
                .add(Column::ExpiresAt.gt(Timestamp::now())),
        )
        .all(ctx.db().read())
        .await?;
    let mut balance = Balance::default();
    for grant in grants {
        match grant.kind {
            GrantKind::Plan => balance.plan += grant.remaining,
            GrantKind::Purchased => balance.purchased += grant.remaining,
        }
        balance.renews_at = balance.renews_at.max(grant.expires_at);
    }
    Ok(balance)
}

/// Up to `limit` entries, newest first, older than `before`; of one kind or all.
pub async fn entries(
    ctx: &AppContext,
    principal: &Permit<can::SeeCredits, Principal>,
    kind: Option<EntryKind>,
    before: Option<CreditEntryId>,
    limit: u64,
) -> Result<Vec<CreditEntry>, AppError> {
    let lines = rows(ctx, principal, kind, before, limit).await?;
    Ok(lines.into_iter().map(CreditEntry::from).collect())
}

async fn rows(
    ctx: &AppContext,
    principal: &Permit<can::SeeCredits, Principal>,
    kind: Option<EntryKind>,
    before: Option<CreditEntryId>,
    limit: u64,
) -> Result<Vec<credit_entry::Model>, AppError> {
    use credit_entry::Column;
    let mut query = entity::CreditEntry::find()
        .filter(Column::WorkspaceId.eq(principal.workspace()))
        .filter(Column::Mode.eq(principal.mode()))
        // By number: ids of the same millisecond have no order if several processes create them.
        .order_by_desc(Column::Number);
    if let Some(kind) = kind {
        query = query.filter(Column::Kind.eq(kind));
    }
    if let Some(before) = before {
        let line = entity::CreditEntry::find_by_id(before)
            .filter(Column::WorkspaceId.eq(principal.workspace()))
            .filter(Column::Mode.eq(principal.mode()))
            .one(ctx.db().read())
            .await?;
        // An id that is no entry of this account ends the list.
        query = query.filter(Column::Number.lt(line.map_or(0, |line| line.number)));
    }
    Ok(rows::up_to(limit, query.into_query(), ctx.db().read()).await?)
}

/// The maximum number of entries in a file: the newest.
const MAX_CSV_ROWS: u64 = 10_000;

/// The entries as CSV for spreadsheets.
pub async fn export_csv(
    ctx: &AppContext,
    principal: &Permit<can::SeeCredits, Principal>,
) -> Result<String, AppError> {
    let lines = entries(ctx, principal, None, None, MAX_CSV_ROWS).await?;
    principal.require_fresh(Sensitive::Export)?;
    let mut text = String::from("Time,Kind,Feature,Quantity,Credits,Balance,Reference,By\r\n");
    for line in lines {
        let quantity = line.quantity.map(|quantity| quantity.to_string());
        let fields = [
            csv::field(&line.created_at),
            csv::field(line.kind.label()),
            csv::field(line.feature.as_deref().unwrap_or_default()),
            quantity.unwrap_or_default(),
            line.amount.to_string(),
            line.balance.to_string(),
            csv::field(line.reference.as_deref().unwrap_or_default()),
            csv::field(&line.actor.name),
        ];
        text += &(fields.join(",") + "\r\n");
    }
    Ok(text)
}

/// The page: entries of one kind or all, older than `before`.
pub async fn page(
    ctx: &AppContext,
    principal: &Permit<can::SeeCredits, Principal>,
    kind: Option<EntryKind>,
    before: Option<CreditEntryId>,
) -> Result<CreditsView, AppError> {
    let there = balance(ctx, principal).await?;
    let lines = rows(ctx, principal, kind, before, PAGE + 1).await?;
    let (lines, more) = page_of(lines, PAGE);
    let catalog = ctx.catalog();
    let now = Timestamp::now();
    let today = day_of(now);
    let used = used_since(ctx, principal, today - CHART_DAYS + 1).await?;
    let since = |day: i64| used.iter().filter(move |row| row.day >= day);
    let pace = since(today - PACE_DAYS + 1).map(|row| row.credits).sum();
    let days = (today - CHART_DAYS + 1..=today).map(|day| Day {
        at: Timestamp::from_millis(day * DAY),
        credits: used
            .iter()
            .filter(|row| row.day == day)
            .map(|row| row.credits)
            .sum(),
    });
    let mut features: Vec<&Feature> = catalog.features.iter().collect();
    // A stable sort: unused features stay in the catalog's order.
    features.sort_by_key(|feature| {
        let of_it = used.iter().filter(|row| row.feature == feature.id);
        std::cmp::Reverse(of_it.map(|row| row.credits).sum::<i64>())
    });
    let buys = features.iter().take(BUYS);
    let buys = buys.map(|feature| times(there.total() / i64::from(feature.credits), &feature.name));
    let account = entity::CreditAccount::find_by_id((principal.workspace(), principal.mode()))
        .one(ctx.db().read())
        .await?;
    let subscription = entity::Subscription::find_by_id(principal.workspace())
        .one(ctx.db().read())
        .await?;
    Ok(CreditsView {
        low_balance_threshold: account.and_then(|account| account.low_balance_threshold),
        default_low_balance_threshold: default_threshold(
            ctx.db().read(),
            principal.workspace(),
            principal.mode(),
        )
        .await?,
        renews: subscription
            .as_ref()
            .is_some_and(|row| row.status != SubscriptionStatus::Trial && !row.cancelled),
        top_up: top_up::view(ctx, principal, subscription.as_ref(), now).await?,
        workspace: principal.workspace(),
        may_buy: principal.may(Permission::ManageBilling),
        payment: None,
        plan: there.plan,
        purchased: there.purchased,
        renews_at: there.renews_at,
        lasts: lasts(there.total(), pace, now),
        buys: buys.collect(),
        features: catalog.features.clone(),
        packages: catalog
            .packages()
            .map(|(package, discount)| (package.clone(), discount))
            .collect(),
        days: days.collect(),
        kind,
        next: lines.last().filter(|_| more).map(|line| line.id),
        entries: lines
            .into_iter()
            .map(|line| EntryRow {
                id: line.id,
                kind: line.kind,
                what: what(catalog, &line),
                reference: line.reference.filter(|_| line.kind != EntryKind::Grant),
                amount: line.amount,
                balance: line.balance,
                who: line.actor_name,
                at: line.created_at,
            })
            .collect(),
    })
}

/// The subject of an entry: a feature and its number of uses, or the plan.
fn what(catalog: &Catalog, line: &credit_entry::Model) -> String {
    match (&line.feature, line.kind) {
        (Some(id), _) => {
            // A feature that is no longer sold keeps the name under which it was used.
            let name = catalog.feature(id).map_or(id.as_str(), |one| &one.name);
            match line.quantity {
                Some(quantity @ 2..) => format!("{} × {name}", grouped(quantity)),
                _ => name.to_owned(),
            }
        }
        (None, EntryKind::Grant) => line.reference.clone().unwrap_or_default(),
        (None, _) => String::new(),
    }
}

async fn used_since(
    ctx: &AppContext,
    principal: &Principal,
    day: i64,
) -> Result<Vec<credit_daily_stat::Model>, AppError> {
    use credit_daily_stat::Column;
    Ok(entity::CreditDailyStat::find()
        .filter(Column::WorkspaceId.eq(principal.workspace()))
        .filter(Column::Mode.eq(principal.mode()))
        .filter(Column::Day.gte(day))
        .all(ctx.db().read())
        .await?)
}

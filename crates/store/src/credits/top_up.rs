//! Automatic top-up: at a low balance, a package is bought with the subscription's card, up to a monthly limit.
//! Spending only requests the top-up. The payment loop stores the payment and charges it, and the credits are granted
//! like any other purchase.

use domain::catalog::{EventType, Mode};
use domain::credits::{TopUp, TopUpView};
use domain::payments::{PaymentPurpose, PaymentStatus};
use domain::{AppError, Money, Timestamp, Topic, WorkspaceId};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};
use serde_json::json;

use super::ledger::LockedAccount;
use super::usage::default_threshold;
use crate::auth::{Permit, Principal, Sensitive, can};
use crate::context::AppContext;
use crate::db::Tx;
use crate::db::entity::credit_top_up::{Column, Model as Row};
use crate::db::entity::subscription::Model as Subscription;
use crate::db::entity::{self, payment};
use crate::live::Invalidation;
use crate::payments::{NewPayment, insert_payment};

/// The maximum number of top-ups that one round starts.
const BATCH_SIZE: u64 = 50;

impl Row {
    /// The amount charged in the month of `now`.
    fn charged_in(&self, now: Timestamp) -> Money {
        if self.month == now.month() {
            self.charged
        } else {
            Money::from_cents(0)
        }
    }
}

async fn save(tx: &Tx, row: Row) -> Result<(), AppError> {
    row.into_active_model().reset_all().update(tx).await?;
    Ok(())
}

async fn locked(tx: &Tx, workspace: WorkspaceId) -> Result<Option<Row>, AppError> {
    Ok(entity::CreditTopUp::find_by_id(workspace)
        .lock_exclusive()
        .one(tx)
        .await?)
}

impl LockedAccount<'_> {
    /// The balance below which a package is bought: the warning threshold, or the default if warnings are off.
    pub(super) async fn top_up_mark(&mut self) -> Result<i64, AppError> {
        match self.low_balance_threshold {
            Some(mark @ 1..) => Ok(mark),
            Some(_) | None => default_threshold(&*self.tx, self.workspace, self.mode).await,
        }
    }

    /// Requests a top-up because the balance is below `mark`. Does nothing if no top-up is set up.
    pub(super) async fn request_top_up(&mut self, mark: i64) -> Result<(), AppError> {
        if self.mode == Mode::Live {
            want(self.tx, self.workspace, mark, i64::MAX).await?;
        }
        Ok(())
    }
}

/// Requests a top-up to reach `mark` from `balance`, if one package contains the missing credits.
async fn want(tx: &Tx, workspace: WorkspaceId, mark: i64, balance: i64) -> Result<(), AppError> {
    let missing = mark.saturating_sub(balance).max(0);
    let less = Condition::any()
        .add(Column::TopUpRequestedBelow.is_null())
        .add(Column::TopUpRequestedBelow.lt(mark));
    entity::CreditTopUp::update_many()
        .col_expr(Column::TopUpRequestedBelow, Expr::value(Some(mark)))
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::Paused.eq(false))
        .filter(Column::Credits.gte(missing))
        .filter(less)
        .exec(tx)
        .await?;
    Ok(())
}

/// Requests a top-up after a refused spend, which leaves no other trace. If no package would be enough, the spend is
/// more likely a mistake than a need, and nothing is bought.
pub async fn shortfall(
    ctx: &AppContext,
    principal: &Principal,
    needed: i64,
    balance: i64,
) -> Result<(), AppError> {
    if principal.mode() != Mode::Live {
        return Ok(());
    }
    let tx = ctx.db().begin().await?;
    want(&tx, principal.workspace(), needed, balance).await?;
    tx.commit().await?;
    Ok(())
}

/// Turns automatic top-up on or off. The person who turns it on is the buyer.
pub async fn set(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    wanted: Option<TopUp>,
    now: Timestamp,
) -> Result<(), AppError> {
    if wanted.is_some() {
        actor.person().require_fresh(Sensitive::Buy)?;
    }
    let workspace = actor.workspace();
    let mut tx = ctx.db().begin().await?;
    // The account's lock serializes concurrent calls.
    let mut account = LockedAccount::open(&mut tx, workspace, Mode::Live).await?;
    let before = locked(account.tx, workspace).await?;
    let said = |row: &Row| json!({"credits": row.credits, "monthly_limit": row.monthly_limit});
    let from = before.as_ref().map(said);
    match (wanted, before) {
        (None, None) => return Ok(()),
        (None, Some(_)) => {
            // A stored payment that is not yet charged is no longer charged. A charged one is granted.
            entity::CreditTopUp::delete_by_id(workspace)
                .exec(account.tx)
                .await?;
        }
        (Some(TopUp { credits, limit }), before) => {
            let package = ctx
                .catalog()
                .package(credits)
                .ok_or_else(|| AppError::field("package", "Choose a package"))?;
            if limit < package.price {
                let message = format!(
                    "Must be at least {}, the price of this package",
                    package.price
                );
                return Err(AppError::field("limit", message));
            }
            let subscription = entity::Subscription::find_by_id(workspace);
            let subscription = subscription.one(account.tx).await?;
            if !subscription.is_some_and(|row| row.is_running(now)) {
                return Err(AppError::Conflict(
                    "Auto top-up needs a card on file. Choose a plan first.".to_owned(),
                ));
            }
            let there = before.is_some();
            let row = Row {
                workspace_id: workspace,
                credits: credits.into(),
                monthly_limit: limit,
                payer_id: actor.person().id(),
                payer_name: actor.person().name().to_owned(),
                month: now.month(),
                charged: before
                    .as_ref()
                    .map_or(Money::from_cents(0), |row| row.charged_in(now)),
                top_up_requested_below: None,
                paused: false,
                payment_id: before.and_then(|row| row.payment_id),
            };
            let row = row.into_active_model().reset_all();
            if there {
                row.update(account.tx).await?;
            } else {
                row.insert(account.tx).await?;
            }
        }
    }
    let to = wanted.map(|top_up| json!({"credits": top_up.credits, "monthly_limit": top_up.limit}));
    let data = json!({"from": from, "to": to});
    account
        .record_event(actor.into(), EventType::CreditsTopUpChanged, data)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// The settings and state of automatic top-up.
pub(super) async fn view(
    ctx: &AppContext,
    principal: &Principal,
    subscription: Option<&Subscription>,
    now: Timestamp,
) -> Result<TopUpView, AppError> {
    let row = entity::CreditTopUp::find_by_id(principal.workspace())
        .one(ctx.db().read())
        .await?;
    Ok(TopUpView {
        possible: subscription.is_some_and(|row| row.is_running(now)),
        charged: row
            .as_ref()
            .map_or(Money::from_cents(0), |row| row.charged_in(now)),
        paused: row.as_ref().is_some_and(|row| row.paused),
        under_way: row.as_ref().is_some_and(|row| row.payment_id.is_some()),
        now: row.map(|row| TopUp {
            credits: u32::try_from(row.credits).unwrap_or(u32::MAX),
            limit: row.monthly_limit,
        }),
    })
}

/// Stores requested top-ups as payments, which the payment loop charges. Returns the number processed.
pub async fn process_due(ctx: &AppContext, now: Timestamp) -> Result<usize, AppError> {
    let wanted: Vec<WorkspaceId> = entity::CreditTopUp::find()
        .filter(Column::TopUpRequestedBelow.is_not_null())
        .filter(Column::PaymentId.is_null())
        .limit(BATCH_SIZE)
        .select_only()
        .column(Column::WorkspaceId)
        .into_tuple()
        .all(ctx.db().read())
        .await?;
    for workspace in &wanted {
        // A failure does not block the others; the next round retries it.
        if let Err(error) = begin(ctx, *workspace, now).await {
            tracing::warn!(%workspace, %error, "a top-up that is wanted could not be begun");
        }
    }
    Ok(wanted.len())
}

async fn begin(ctx: &AppContext, workspace: WorkspaceId, now: Timestamp) -> Result<(), AppError> {
    let mut tx = ctx.db().begin().await?;
    let account = LockedAccount::open(&mut tx, workspace, Mode::Live).await?;
    let balance = account.balance;
    let Some(mut row) = locked(account.tx, workspace).await? else {
        return Ok(());
    };
    if row.payment_id.is_some() {
        // Another process has handled it.
        return Ok(());
    }
    let low = row
        .top_up_requested_below
        .take()
        .is_some_and(|mark| balance < mark);
    let subscription = entity::Subscription::find_by_id(workspace);
    let subscription = subscription.one(account.tx).await?;
    let runs = subscription.is_some_and(|row| row.is_running(now));
    let credits = u32::try_from(row.credits).unwrap_or(u32::MAX);
    let package = ctx.catalog().package(credits);
    if package.is_none() {
        tracing::warn!(%workspace, credits, "a top-up of a package that the catalogue does not have any more");
    }
    let charged = row.charged_in(now);
    let fits = |price: &Money| charged + *price <= row.monthly_limit;
    let price = package.map(|package| package.price).filter(fits);
    if let Some(price) = price.filter(|_| low && runs && !row.paused) {
        let purpose = PaymentPurpose::TopUp { credits };
        let new = NewPayment {
            workspace,
            buyer: (row.payer_id, &row.payer_name),
            purpose: &purpose,
            amount: price,
            look_at: now,
        };
        row.payment_id = Some(insert_payment(account.tx, &new).await?);
        row.month = now.month();
        row.charged = charged + price;
    }
    save(account.tx, row).await?;
    tx.commit().await?;
    Ok(())
}

/// Pauses top-ups until a person reviews them, because a charge is disputed.
pub async fn pause(tx: &Tx, workspace: WorkspaceId) -> Result<(), AppError> {
    entity::CreditTopUp::update_many()
        .col_expr(Column::Paused, Expr::value(true))
        .filter(Column::WorkspaceId.eq(workspace))
        .exec(tx)
        .await?;
    Ok(())
}

/// Whether the top-up waits for this payment.
pub async fn waits_for(ctx: &AppContext, payment: &payment::Model) -> Result<bool, AppError> {
    let row = entity::CreditTopUp::find_by_id(payment.workspace_id)
        .one(ctx.db().read())
        .await?;
    Ok(row.is_some_and(|row| row.payment_id == Some(payment.id)))
}

/// Applies the outcome of a charge. A declined charge pauses top-ups, so that an empty card is not tried at every use.
pub async fn ended(
    tx: &mut Tx,
    payment: &payment::Model,
    status: PaymentStatus,
    now: Timestamp,
) -> Result<(), AppError> {
    let workspace = payment.workspace_id;
    tx.invalidate(Invalidation::workspace(workspace, Topic::Credits));
    let there = entity::Workspace::find_by_id(workspace);
    if there.one(tx).await?.is_none() {
        return Ok(());
    }
    // In the lock order used everywhere.
    let mut account = LockedAccount::open(tx, workspace, Mode::Live).await?;
    let mark = account.top_up_mark().await?;
    let low = account.balance < mark;
    let Some(mut row) = locked(account.tx, workspace).await? else {
        return Ok(());
    };
    if row.payment_id != Some(payment.id) {
        return Ok(());
    }
    row.payment_id = None;
    if status == PaymentStatus::Paid {
        // One package may not be enough.
        row.top_up_requested_below = Some(mark).filter(|_| low);
    } else {
        row.paused = status == PaymentStatus::Declined;
        if row.month == now.month() {
            row.charged = row.charged - payment.amount.min(row.charged);
        }
    }
    save(account.tx, row).await
}

//! Subscriptions. Wheelhouse keeps the calendar itself: the subscription's row and the catalog alone decide each
//! charge, its date and its result, whichever provider collects the money. The preview of a change and its charge come
//! from the same functions, and any provider that can charge a saved card works.
//!
//! A workspace starts on trial. Paying for a plan makes it active and restores access if it was frozen. At the end of a
//! month, a renewal is stored as a payment, and the outcome of that payment updates the subscription.

use domain::catalog::{Catalog, EventType, Plan};
use domain::payments::PaymentPurpose;
use domain::subscriptions::{
    Entitlements, REMINDERS, RETRIES, SubscriptionStatus, Terms, charge_for, part, plan_name,
    with_owed,
};
use domain::{AppError, Money, Timestamp, WorkspaceId, days};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde_json::{Value, json};

use crate::auth::Principal;
use crate::context::AppContext;
use crate::credits;
use crate::db::Tx;
use crate::db::entity::subscription::{self, Model as Subscription};
use crate::db::entity::{self, payment};
use crate::events::{self, NewEvent, Origin};
use crate::payments::{NewPayment, insert_payment};

/// The maximum number of subscriptions in one round.
const BATCH_SIZE: u64 = 100;

impl Subscription {
    /// The subscribed terms. `None` on trial and if the workspace never subscribed.
    pub fn terms(&self) -> Option<Terms> {
        Some(Terms {
            plan: self.plan.clone()?,
            cdr_mode: self.cdr_mode,
        })
    }

    /// The terms after the period ends.
    pub fn next_terms(&self) -> Option<Terms> {
        match (&self.next_plan, self.next_cdr_mode) {
            (Some(plan), Some(cdr_mode)) => Some(Terms {
                plan: plan.clone(),
                cdr_mode,
            }),
            _ => self.terms(),
        }
    }

    pub fn set_next(&mut self, terms: Option<Terms>) {
        (self.next_plan, self.next_cdr_mode) = match terms {
            Some(terms) => (Some(terms.plan), Some(terms.cdr_mode)),
            None => (None, None),
        };
    }

    /// Whether only billing can be changed.
    pub fn is_frozen(&self, now: Timestamp) -> bool {
        self.freezes_at.is_some_and(|at| at <= now)
    }

    /// The status at `now`. The worker stores a freeze a moment after it takes effect.
    pub fn status_at(&self, now: Timestamp) -> SubscriptionStatus {
        if self.is_frozen(now) {
            SubscriptionStatus::Frozen
        } else {
            self.status
        }
    }

    /// Whether the current month is paid and not over.
    pub fn is_running(&self, now: Timestamp) -> bool {
        self.status == SubscriptionStatus::Active && now < self.ends_at
    }

    /// When to process a trial next: for a reminder, or at its end.
    fn trial_due(&self, now: Timestamp) -> Timestamp {
        let ahead = REMINDERS
            .iter()
            .skip(usize::try_from(self.reminders).unwrap_or(usize::MAX));
        let mut ahead = ahead.map(|before| self.ends_at.before(*before));
        ahead.find(|at| *at > now).unwrap_or(self.ends_at)
    }

    fn freeze(&mut self, at: Timestamp) {
        self.status = SubscriptionStatus::Frozen;
        self.freezes_at = Some(at);
        self.payment_id = None;
        self.due_at = None;
        self.cancelled = false;
        self.set_next(None);
    }
}

/// The plan that a workspace can use: the trial's, or the plan of the current or former subscription.
pub fn plan_in_use<'a>(catalog: &'a Catalog, row: &Subscription) -> Option<&'a Plan> {
    catalog.plan(row.plan.as_ref().unwrap_or(&catalog.trial_plan))
}

/// Plans missing from the catalog that subscriptions use now or next. They could not be renewed.
pub async fn plans_that_are_missing(ctx: &AppContext) -> Result<Vec<String>, AppError> {
    use subscription::Column;
    let live = [SubscriptionStatus::Active, SubscriptionStatus::PastDue];
    let mut missing = Vec::new();
    for column in [Column::Plan, Column::NextPlan] {
        let plans: Vec<String> = entity::Subscription::find()
            .filter(Column::Status.is_in(live))
            .filter(column.is_not_null())
            .select_only()
            .column(column)
            .distinct()
            .into_tuple()
            .all(ctx.db().read())
            .await?;
        missing.extend(
            plans
                .into_iter()
                .filter(|plan| ctx.catalog().plan(plan).is_none()),
        );
    }
    missing.sort_unstable();
    missing.dedup();
    Ok(missing)
}

/// The entitlements of a workspace. Every principal of the workspace can read them.
pub async fn entitlements(
    ctx: &AppContext,
    principal: &Principal,
    now: Timestamp,
) -> Result<Entitlements, AppError> {
    let row = entity::Subscription::find_by_id(principal.workspace())
        .one(ctx.db().read())
        .await?
        .ok_or(AppError::NotFound)?;
    let catalog = ctx.catalog();
    let (plan, frozen) = (plan_in_use(catalog, &row), row.is_frozen(now));
    let trial = row.status == SubscriptionStatus::Trial;
    Ok(Entitlements {
        // A trial includes every feature that can be tried.
        cdr_mode: !frozen && (row.cdr_mode || trial && plan.is_some_and(|plan| plan.cdr_mode)),
        plan: plan.cloned(),
        status: row.status_at(now),
        frozen,
        ends_at: row.ends_at,
        plan_id: Some(row.plan.unwrap_or_else(|| catalog.trial_plan.clone())),
    })
}

/// Starts a workspace's trial.
pub async fn begin_trial(
    tx: &mut Tx,
    catalog: &Catalog,
    workspace: WorkspaceId,
) -> Result<(), AppError> {
    let now = Timestamp::now();
    let ends_at = now.after(days(catalog.trial_days.into()));
    let mut row = Subscription {
        workspace_id: workspace,
        status: SubscriptionStatus::Trial,
        plan: None,
        cdr_mode: false,
        billing_cycle_anchor: now,
        months: 0,
        begins_at: now,
        ends_at,
        next_plan: None,
        next_cdr_mode: None,
        cancelled: false,
        freezes_at: Some(ends_at),
        payer_id: None,
        payer_name: None,
        payment_id: None,
        balance: Money::default(),
        declines: 0,
        reminders: 0,
        due_at: None,
    };
    row.due_at = Some(row.trial_due(now));
    row.into_active_model().insert(tx).await?;
    Ok(())
}

/// A workspace's subscription, locked. `None` if the workspace is deleted.
pub async fn locked(tx: &Tx, workspace: WorkspaceId) -> Result<Option<Subscription>, AppError> {
    Ok(entity::Subscription::find_by_id(workspace)
        .lock_exclusive()
        .one(tx)
        .await?)
}

/// Joining changes a workspace, but a person who joins has no membership yet that shows whether it is frozen.
pub async fn ensure_not_frozen(tx: &Tx, workspace: WorkspaceId) -> Result<(), AppError> {
    let row = entity::Subscription::find_by_id(workspace).one(tx).await?;
    let frozen = row.is_some_and(|row| row.is_frozen(Timestamp::now()));
    if frozen {
        Err(AppError::Frozen)
    } else {
        Ok(())
    }
}

pub async fn save(tx: &Tx, row: Subscription) -> Result<(), AppError> {
    row.into_active_model().reset_all().update(tx).await?;
    Ok(())
}

/// Records an event of a subscription.
pub async fn record_event(
    tx: &mut Tx,
    workspace: WorkspaceId,
    origin: Origin,
    what: EventType,
    data: Value,
) -> Result<(), AppError> {
    events::record(tx, origin, NewEvent::in_workspace(workspace, what, data))
        .await
        .map(|_| ())
}

/// Records how the terms changed: the plan, CDR Mode, or both. `why` is one word: `subscribed`, `changed`, `began`.
pub async fn note_change(
    tx: &mut Tx,
    catalog: &Catalog,
    workspace: WorkspaceId,
    origin: &Origin,
    (from, to): (Option<&Terms>, &Terms),
    why: &str,
) -> Result<(), AppError> {
    if from.is_none_or(|from| from.plan != to.plan) {
        let data = json!({
            "from": from.map(|from| &from.plan), "to": to.plan, "name": plan_name(catalog, &to.plan), "why": why,
        });
        record_event(
            tx,
            workspace,
            origin.clone(),
            EventType::BillingPlanChanged,
            data,
        )
        .await?;
    }
    if from.is_some_and(|from| from.cdr_mode) != to.cdr_mode {
        let data = json!({"on": to.cdr_mode, "name": catalog.cdr_mode.name});
        record_event(
            tx,
            workspace,
            origin.clone(),
            EventType::BillingCdrModeChanged,
            data,
        )
        .await?;
    }
    Ok(())
}

/// A plan was paid, including `balance`. The first month starts immediately and is extended by the rest of the trial.
pub async fn subscribed(
    tx: &mut Tx,
    catalog: &Catalog,
    payment: &payment::Model,
    (terms, balance): (&Terms, Money),
    now: Timestamp,
) -> Result<(), AppError> {
    let Some(mut row) = locked(tx, payment.workspace_id).await? else {
        return Ok(());
    };
    if row.is_running(now) {
        return add_account_credit(tx, row, payment).await;
    }
    let before = row.terms();
    let trial = row.status == SubscriptionStatus::Trial;
    row.billing_cycle_anchor = if trial { row.ends_at.max(now) } else { now };
    row.months = 1;
    row.begins_at = now;
    row.ends_at = row.billing_cycle_anchor.months_after(1);
    row.payer_id = Some(payment.buyer_id);
    row.payer_name = Some(payment.buyer_name.clone());
    row.payment_id = None;
    row.balance = row.balance - balance;
    let buyer = Origin::person(payment.buyer_id, &payment.buyer_name);
    activate_period(tx, catalog, row, terms, &payment.id.to_string()).await?;
    let before = before.filter(|_| !trial);
    let change = (before.as_ref(), terms);
    note_change(
        tx,
        catalog,
        payment.workspace_id,
        &buyer,
        change,
        "subscribed",
    )
    .await
}

/// Credits a second payment during a paid month to the balance for later months. The balance is an amount of money,
/// because a month of one plan is not worth a month of another.
async fn add_account_credit(
    tx: &mut Tx,
    mut row: Subscription,
    payment: &payment::Model,
) -> Result<(), AppError> {
    row.balance = row.balance + payment.amount;
    // Stop waiting for this payment, or the subscription would never continue.
    row.payment_id = row.payment_id.filter(|id| *id != payment.id);
    save(tx, row).await
}

/// Deducts a reversed amount from the balance; a negative amount adds money that came back. The current period
/// continues. The next charge collects any debt.
pub async fn debit(tx: &Tx, mut row: Subscription, amount: Money) -> Result<(), AppError> {
    row.balance = row.balance - amount;
    save(tx, row).await
}

/// Starts a paid period.
async fn activate_period(
    tx: &mut Tx,
    catalog: &Catalog,
    mut row: Subscription,
    terms: &Terms,
    once: &str,
) -> Result<(), AppError> {
    row.status = SubscriptionStatus::Active;
    row.plan = Some(terms.plan.clone());
    row.cdr_mode = terms.cdr_mode;
    row.set_next(None);
    row.cancelled = false;
    row.freezes_at = None;
    row.declines = 0;
    row.due_at = Some(row.ends_at);
    let (workspace, until) = (row.workspace_id, row.ends_at);
    save(tx, row).await?;
    match catalog.plan(&terms.plan) {
        Some(plan) => credits::renew(tx, workspace, plan, until, once).await?,
        None => {
            tracing::error!(plan = terms.plan, %workspace, "paid for a plan that the catalogue does not have any more");
        }
    }
    Ok(())
}

/// The rest of a month on better terms was paid. The plan's additional credits are granted in the same proportion.
pub async fn changed(
    tx: &mut Tx,
    catalog: &Catalog,
    payment: &payment::Model,
    (terms, ends_at): (&Terms, Timestamp),
    now: Timestamp,
) -> Result<(), AppError> {
    let Some(row) = locked(tx, payment.workspace_id).await? else {
        return Ok(());
    };
    if !row.is_running(now) || row.ends_at != ends_at {
        // The bank's confirmation took longer than the month.
        return add_account_credit(tx, row, payment).await;
    }
    let buyer = Origin::person(payment.buyer_id, &payment.buyer_name);
    apply(
        tx,
        catalog,
        row,
        terms,
        &buyer,
        (&payment.id.to_string(), now),
    )
    .await
}

/// Applies better terms for the rest of the month. `once` identifies the change.
pub async fn apply(
    tx: &mut Tx,
    catalog: &Catalog,
    mut row: Subscription,
    terms: &Terms,
    origin: &Origin,
    (once, now): (&str, Timestamp),
) -> Result<(), AppError> {
    let workspace = row.workspace_id;
    let before = row.terms();
    let credits_of = |terms: &Terms| {
        let plan = catalog.plan(&terms.plan);
        plan.map_or(0, |plan| i64::from(plan.credits))
    };
    let more = credits_of(terms) - before.as_ref().map_or(0, credits_of);
    let more = part(
        more.max(0),
        row.ends_at.since(now),
        row.ends_at.since(row.begins_at),
    );
    row.plan = Some(terms.plan.clone());
    row.cdr_mode = terms.cdr_mode;
    row.set_next(None);
    row.cancelled = false;
    row.freezes_at = None;
    row.payment_id = None;
    let ends_at = row.ends_at;
    save(tx, row).await?;
    if let Some(plan) = catalog.plan(&terms.plan)
        && let Ok(more @ 1..) = u32::try_from(more)
    {
        credits::add_to_plan(tx, workspace, (plan, more), ends_at, once).await?;
    }
    note_change(
        tx,
        catalog,
        workspace,
        origin,
        (before.as_ref(), terms),
        "changed",
    )
    .await
}

/// Payment succeeded for the month that was due at `ends_at`, with its deduction from the balance.
pub async fn renewed(
    tx: &mut Tx,
    catalog: &Catalog,
    payment: &payment::Model,
    (terms, ends_at, balance): (&Terms, Timestamp, Money),
    now: Timestamp,
) -> Result<(), AppError> {
    let Some(mut row) = locked(tx, payment.workspace_id).await? else {
        return Ok(());
    };
    if row.ends_at != ends_at {
        // Somebody paid manually while the card was being charged.
        return add_account_credit(tx, row, payment).await;
    }
    row.balance = row.balance - balance;
    start_next_period(tx, catalog, row, terms, (&payment.id.to_string(), now)).await
}

/// Starts the next month at the end of the last one, so that the day of the month stays the same. If no charge ran and
/// that month is over too, the month starts now. `once` identifies the payment.
async fn start_next_period(
    tx: &mut Tx,
    catalog: &Catalog,
    mut row: Subscription,
    terms: &Terms,
    (once, now): (&str, Timestamp),
) -> Result<(), AppError> {
    let (before, workspace) = (row.terms(), row.workspace_id);
    row.payment_id = None;
    row.months += 1;
    row.begins_at = row.ends_at;
    let months = u32::try_from(row.months).unwrap_or(1);
    row.ends_at = row.billing_cycle_anchor.months_after(months);
    if row.ends_at <= now {
        (row.billing_cycle_anchor, row.months, row.begins_at) = (now, 1, now);
        row.ends_at = now.months_after(1);
    }
    activate_period(tx, catalog, row, terms, once).await?;
    let change = (before.as_ref(), terms);
    note_change(tx, catalog, workspace, &Origin::system(), change, "began").await
}

/// Whether the subscription waits for this payment.
pub async fn waits_for(ctx: &AppContext, payment: &payment::Model) -> Result<bool, AppError> {
    let row = entity::Subscription::find_by_id(payment.workspace_id)
        .one(ctx.db().read())
        .await?;
    Ok(row.is_some_and(|row| row.payment_id == Some(payment.id)))
}

/// A renewal or change was not paid.
pub async fn not_paid(
    tx: &mut Tx,
    payment: &payment::Model,
    purpose: &PaymentPurpose,
    now: Timestamp,
) -> Result<(), AppError> {
    let Some(mut row) = locked(tx, payment.workspace_id).await? else {
        return Ok(());
    };
    if row.payment_id != Some(payment.id) {
        return Ok(());
    }
    row.payment_id = None;
    if matches!(purpose, PaymentPurpose::Renewal { .. }) {
        let gap = usize::try_from(row.declines)
            .ok()
            .and_then(|n| RETRIES.get(n));
        row.declines += 1;
        match gap {
            Some(gap) => {
                row.status = SubscriptionStatus::PastDue;
                row.due_at = Some(now.after(*gap));
            }
            None => return end(tx, row, now, "unpaid").await,
        }
    }
    save(tx, row).await
}

/// Ends the subscription and freezes the workspace.
pub async fn end(
    tx: &mut Tx,
    mut row: Subscription,
    at: Timestamp,
    why: &str,
) -> Result<(), AppError> {
    let (workspace, from) = (row.workspace_id, row.plan.clone());
    row.freeze(at);
    save(tx, row).await?;
    let data = json!({"from": from, "to": null, "why": why});
    record_event(
        tx,
        workspace,
        Origin::system(),
        EventType::BillingPlanChanged,
        data,
    )
    .await
}

/// Processes subscriptions that are due by `now`: sends trial reminders, ends trials, and stores renewals as payments,
/// which the payment loop then charges. Returns the number of subscriptions.
pub async fn process_due(ctx: &AppContext, now: Timestamp) -> Result<usize, AppError> {
    use subscription::Column;
    let due: Vec<WorkspaceId> = entity::Subscription::find()
        .filter(Column::DueAt.lte(now))
        .filter(Column::PaymentId.is_null())
        .order_by_asc(Column::DueAt)
        .limit(BATCH_SIZE)
        .select_only()
        .column(Column::WorkspaceId)
        .into_tuple()
        .all(ctx.db().read())
        .await?;
    for workspace in &due {
        // A failure does not block the others; the next round retries it.
        if let Err(error) = process_subscription(ctx, *workspace, now).await {
            tracing::warn!(%workspace, %error, "a subscription that is due could not be moved on");
        }
    }
    Ok(due.len())
}

async fn process_subscription(
    ctx: &AppContext,
    workspace: WorkspaceId,
    now: Timestamp,
) -> Result<(), AppError> {
    let mut tx = ctx.db().begin().await?;
    let row = locked(&tx, workspace).await?;
    // Another process may have processed it meanwhile.
    let waits =
        |row: &Subscription| row.payment_id.is_none() && row.due_at.is_some_and(|due| due <= now);
    if let Some(row) = row.filter(waits) {
        step(&mut tx, ctx.catalog(), row, now).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn step(
    tx: &mut Tx,
    catalog: &Catalog,
    row: Subscription,
    now: Timestamp,
) -> Result<(), AppError> {
    match row.status {
        SubscriptionStatus::Trial => remind_or_end(tx, row, now).await,
        SubscriptionStatus::Active if row.cancelled => {
            let at = row.ends_at;
            end(tx, row, at, "cancelled").await
        }
        SubscriptionStatus::Active | SubscriptionStatus::PastDue => {
            renew(tx, catalog, row, now).await
        }
        SubscriptionStatus::Frozen => {
            let due_at = None;
            save(tx, Subscription { due_at, ..row }).await
        }
    }
}

async fn remind_or_end(tx: &mut Tx, mut row: Subscription, now: Timestamp) -> Result<(), AppError> {
    let (workspace, ends_at) = (row.workspace_id, row.ends_at);
    if ends_at <= now {
        row.freeze(ends_at);
        save(tx, row).await?;
        let data = json!({"ended_at": ends_at.rfc3339()});
        return record_event(
            tx,
            workspace,
            Origin::system(),
            EventType::BillingTrialEnded,
            data,
        )
        .await;
    }
    let passed = REMINDERS
        .iter()
        .filter(|before| ends_at.before(**before) <= now);
    row.reminders = i64::try_from(passed.count()).unwrap_or_default();
    row.due_at = Some(row.trial_due(now));
    save(tx, row).await?;
    let days = ends_at.since(now).as_secs().div_ceil(86_400);
    let data = json!({"days": days, "ends_at": ends_at.rfc3339()});
    record_event(
        tx,
        workspace,
        Origin::system(),
        EventType::BillingTrialEnding,
        data,
    )
    .await
}

/// Stores the next month's payment.
async fn renew(
    tx: &mut Tx,
    catalog: &Catalog,
    mut row: Subscription,
    now: Timestamp,
) -> Result<(), AppError> {
    let on_offer = |terms: &Terms| terms.price(catalog).is_some();
    let terms = row.next_terms().filter(on_offer);
    let terms = terms.or_else(|| row.terms().filter(on_offer));
    let payer = row.payer_id.zip(row.payer_name.clone());
    let (Some(terms), Some((payer_id, payer_name))) = (terms, payer) else {
        tracing::error!(workspace = %row.workspace_id, plan = row.plan, "cannot be renewed: the catalogue does not have its plan any more");
        row.due_at = Some(now.after(days(1)));
        return save(tx, row).await;
    };
    let price = terms.price(catalog).unwrap_or_default();
    let (amount, balance) = charge_for(price, row.balance);
    if amount == Money::default() {
        let once = format!("balance {}", row.ends_at.millis());
        row.balance = row.balance - balance;
        return start_next_period(tx, catalog, row, &terms, (&once, now)).await;
    }
    let purpose = PaymentPurpose::Renewal {
        what: with_owed(format!("{}, 1 month", terms.name(catalog)), balance),
        ends_at: row.ends_at,
        balance,
        terms,
    };
    let payment = NewPayment {
        workspace: row.workspace_id,
        buyer: (payer_id, &payer_name),
        purpose: &purpose,
        amount,
        look_at: now,
    };
    row.payment_id = Some(insert_payment(tx, &payment).await?);
    row.due_at = None;
    save(tx, row).await
}

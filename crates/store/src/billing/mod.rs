//! Billing.

pub mod invoices;
pub mod seats;
pub mod subscriptions;

use std::collections::HashMap;

use domain::billing::{
    BillingView, Effect, InvoiceView, NAMED, Next, OverLimit, PAYMENTS, PaymentRow, Preview,
    invoice_number,
};
use domain::catalog::{Catalog, EventType};
use domain::form::FormSuccess;
use domain::payments::{PaymentPurpose, PaymentStatus};
use domain::subscriptions::{
    Details, SMALLEST_CHARGE, SubscriptionStatus, Terms, charge_for, part, with_owed,
};
use domain::{AppError, Money, PaymentId, Role, Timestamp, days, internal};
use sea_orm::{
    ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use serde_json::json;

use self::subscriptions::plan_in_use;
use crate::auth::{Actor, Permit, ReadPermit, Sensitive, can};
use crate::context::AppContext;
use crate::db::entity::subscription::Model as Subscription;
use crate::db::entity::{self, invoice, membership, payment, user};
use crate::db::{Tx, rows};
use crate::events::Origin;
use crate::payments::{self, NewPayment};
use crate::settlement;

/// The result of a choice.
struct Decision {
    effect: Effect,
    today: Money,
    /// The part of the balance in today's charge: zero, or negative if there is debt.
    balance: Money,
    /// The monthly price from then on.
    next: Money,
    /// The first monthly charge after that, with the balance at that time.
    next_charge: Money,
    next_at: Timestamp,
    days_added: u64,
}

/// The result of choosing these terms now. Both the preview and the choice use it.
fn decide(
    catalog: &Catalog,
    row: &Subscription,
    terms: &Terms,
    now: Timestamp,
) -> Result<Decision, AppError> {
    let plan = catalog
        .plan(&terms.plan)
        .ok_or_else(|| AppError::field("plan", "Choose a plan"))?;
    let price = terms.price(catalog).ok_or_else(|| {
        let message = format!("{} isn't available on {}", catalog.cdr_mode.name, plan.name);
        AppError::field("cdr_mode", message)
    })?;
    if !row.is_running(now) {
        let trial = row.status == SubscriptionStatus::Trial;
        let start = if trial { row.ends_at.max(now) } else { now };
        // Debt is paid with the first charge. Credit is kept for later months.
        let owed = row.balance.min(Money::default());
        return Ok(Decision {
            effect: Effect::Begin,
            today: price - owed,
            balance: owed,
            next: price,
            next_charge: charge_for(price, row.balance - owed).0,
            next_at: start.months_after(1),
            days_added: start.since(now).as_secs() / days(1).as_secs(),
        });
    }
    let current = row.terms();
    let (left, whole) = (row.ends_at.since(now), row.ends_at.since(row.begins_at));
    let cost = current.as_ref().and_then(|current| current.price(catalog));
    let (effect, today) = match cost {
        _ if current.as_ref() == Some(terms) => (Effect::Keep, 0),
        // If the catalog no longer has the current terms, their price is unknown and the change takes effect later.
        Some(cost) if price > cost => {
            (Effect::Now, part(price.cents() - cost.cents(), left, whole))
        }
        Some(_) | None => (Effect::Later, 0),
    };
    let today = Some(Money::from_cents(today)).filter(|today| *today >= SMALLEST_CHARGE);
    Ok(Decision {
        effect,
        today: today.unwrap_or(Money::from_cents(0)),
        balance: Money::default(),
        next: price,
        next_charge: charge_for(price, row.balance).0,
        next_at: row.ends_at,
        days_added: 0,
    })
}

async fn row(ctx: &AppContext, actor: &Actor) -> Result<Subscription, AppError> {
    entity::Subscription::find_by_id(actor.workspace())
        .one(ctx.db().read())
        .await?
        .ok_or(AppError::NotFound)
}

async fn locked(tx: &Tx, actor: &Actor) -> Result<Subscription, AppError> {
    subscriptions::locked(tx, actor.workspace())
        .await?
        .ok_or(AppError::NotFound)
}

/// The page. `asked` is the choice to preview.
pub async fn view(
    ctx: &AppContext,
    actor: &ReadPermit<can::ManageBilling>,
    asked: Option<Terms>,
) -> Result<BillingView, AppError> {
    let (catalog, now) = (ctx.catalog(), Timestamp::now());
    let row = row(ctx, actor).await?;
    let seats_used = seats::used(ctx.db().read(), actor.workspace()).await?;
    let cdr_preview = match row.terms().filter(|_| row.is_running(now)) {
        Some(terms) => {
            let cdr_mode = !terms.cdr_mode;
            let other = Terms { cdr_mode, ..terms };
            preview(ctx, actor, &row, other, 0, now).await.ok()
        }
        None => None,
    };
    let (preview, refusal) = match asked {
        None => (None, None),
        Some(terms) => match preview(ctx, actor, &row, terms, seats_used, now).await {
            Ok(preview) => (Some(preview), None),
            Err(error @ AppError::Internal { .. }) => return Err(error),
            Err(error) => (None, Some(error.to_string())),
        },
    };
    let next = row.next_plan.as_ref().and_then(|_| row.next_terms());
    let next = next.and_then(|terms| {
        Some(Next {
            name: terms.name(catalog),
            cost: terms.price(catalog)?,
            terms,
        })
    });
    let terms = row.terms();
    let status = row.status_at(now);
    Ok(BillingView {
        workspace: actor.workspace(),
        payment: None,
        status,
        plan: plan_in_use(catalog, &row).cloned(),
        cost: terms.as_ref().and_then(|terms| terms.price(catalog)),
        terms,
        ends_at: row.ends_at,
        next,
        cancelled: row.cancelled,
        retry_at: row.due_at.filter(|_| status == SubscriptionStatus::PastDue),
        paying: row.payment_id.is_some(),
        balance: row.balance,
        seats_used,
        plans: catalog.plans.clone(),
        cdr_mode: catalog.cdr_mode.clone(),
        preview,
        cdr_preview,
        refusal,
        payments: list(ctx, actor).await?,
        details: invoices::details(ctx.db().read(), actor.workspace()).await?,
    })
}

async fn list(ctx: &AppContext, actor: &Actor) -> Result<Vec<PaymentRow>, AppError> {
    let query = entity::Payment::find()
        .filter(payment::Column::WorkspaceId.eq(actor.workspace()))
        // Abandoned payments are not listed.
        .filter(payment::Column::Status.is_in([
            PaymentStatus::Paid,
            PaymentStatus::Confirming,
            PaymentStatus::Declined,
        ]))
        .order_by_desc(payment::Column::Id)
        .into_query();
    let rows: Vec<payment::Model> = rows::up_to(PAYMENTS, query, ctx.db().read()).await?;
    let issued = entity::Invoice::find()
        .filter(invoice::Column::WorkspaceId.eq(actor.workspace()))
        .filter(invoice::Column::PaymentId.is_in(rows.iter().map(|row| row.id)))
        .into_query();
    let issued: Vec<invoice::Model> = rows::every(issued, ctx.db().read()).await?;
    let issued: HashMap<PaymentId, i64> = issued
        .into_iter()
        .map(|invoice| (invoice.payment_id, invoice.number))
        .collect();
    let payments = rows
        .into_iter()
        .map(|row| {
            let number = issued.get(&row.id);
            PaymentRow {
                invoice: number.map(|n| (*n, invoice_number(actor.workspace(), *n))),
                // An unreadable purpose is logged, but the payment is listed anyway.
                what: payments::purpose(&row)
                    .map_or_else(|_| "Payment".to_owned(), |purpose| purpose.describe()),
                id: row.id,
                amount: row.amount,
                refunded: row.refunded,
                disputed: row.disputed,
                status: row.status,
                at: row.finished_at.unwrap_or(row.created_at),
            }
        })
        .collect();
    Ok(payments)
}

/// An invoice of this workspace.
pub async fn invoice(
    ctx: &AppContext,
    actor: &ReadPermit<can::ManageBilling>,
    number: i64,
) -> Result<InvoiceView, AppError> {
    let row = entity::Invoice::find_by_id((actor.workspace(), number))
        .one(ctx.db().read())
        .await?
        .ok_or(AppError::NotFound)?;
    let payment = entity::Payment::find_by_id(row.payment_id);
    let payment = payment.one(ctx.db().read()).await?;
    let (refunded, disputed) = payment.map_or_else(Default::default, |payment| {
        (payment.refunded, payment.disputed)
    });
    let json = |error| internal("an invoice", &error);
    Ok(InvoiceView {
        number: invoice_number(row.workspace_id, row.number),
        what: row.what,
        amount: row.amount,
        seller: serde_json::from_value(row.seller).map_err(json)?,
        buyer: serde_json::from_value(row.buyer).map_err(json)?,
        issued_at: row.issued_at,
        refunded,
        disputed,
    })
}

/// Sets the billing details for future invoices. Issued invoices stay unchanged.
pub async fn set_details(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    details: &Details,
) -> Result<(), AppError> {
    let mut tx = ctx.db().begin().await?;
    subscriptions::locked(&tx, actor.workspace()).await?;
    if invoices::details(&tx, actor.workspace()).await? != *details {
        invoices::set_details(&tx, actor.workspace(), details).await?;
        let what = EventType::BillingDetailsChanged;
        subscriptions::record_event(&mut tx, actor.workspace(), actor.into(), what, json!({}))
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn preview(
    ctx: &AppContext,
    actor: &Actor,
    row: &Subscription,
    terms: Terms,
    used: u64,
    now: Timestamp,
) -> Result<Preview, AppError> {
    let catalog = ctx.catalog();
    let decision = decide(catalog, row, &terms, now)?;
    let seats = catalog
        .plan(&terms.plan)
        .map_or(u32::MAX, |plan| plan.seats);
    let beyond = if used > u64::from(seats) {
        Some(OverLimit {
            seats,
            used,
            names: last_to_join(ctx, actor, used - u64::from(seats)).await?,
        })
    } else {
        None
    };
    Ok(Preview {
        name: terms.name(catalog),
        terms,
        effect: decision.effect,
        today: decision.today,
        owed: Money::default() - decision.balance,
        next: decision.next,
        next_charge: decision.next_charge,
        next_at: decision.next_at,
        days_added: decision.days_added,
        beyond,
    })
}

/// The names of the last `count` members to join, up to the display limit.
async fn last_to_join(
    ctx: &AppContext,
    actor: &Actor,
    count: u64,
) -> Result<Vec<String>, AppError> {
    Ok(entity::Membership::find()
        .join(
            JoinType::InnerJoin,
            membership::Entity::belongs_to(user::Entity)
                .from(membership::Column::UserId)
                .to(user::Column::Id)
                .into(),
        )
        .filter(membership::Column::WorkspaceId.eq(actor.workspace()))
        .filter(membership::Column::Role.ne(Role::Owner))
        .order_by_desc(membership::Column::JoinedAt)
        .limit(count.min(NAMED as u64))
        .select_only()
        .column(user::Column::Name)
        .into_tuple()
        .all(ctx.db().read())
        .await?)
}

/// The outcome of a choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// Pay at this URL.
    Pay(String),
    Done(FormSuccess),
}

/// Chooses a plan. `agreed` is the preview's charge for today; the actual charge never exceeds it. The user returns
/// from the provider's page to `page`.
pub async fn choose(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    terms: Terms,
    agreed: Money,
    page: &str,
    now: Timestamp,
) -> Result<Chosen, AppError> {
    actor.person().require_fresh(Sensitive::Buy)?;
    let catalog = ctx.catalog();
    let mut tx = ctx.db().begin().await?;
    let mut row = locked(&tx, actor).await?;
    let Decision {
        effect,
        today,
        balance,
        ..
    } = decide(catalog, &row, &terms, now)?;
    if today > agreed {
        return Err(AppError::Conflict(
            "The price has changed. Review it and try again.".to_owned(),
        ));
    }
    let name = terms.name(catalog);
    let at = row.ends_at.date();
    let note =
        |why: &str| json!({"from": row.plan, "to": terms.plan, "name": name, "why": why, "at": at});
    match effect {
        Effect::Begin => {
            drop(tx);
            let what = with_owed(format!("{name}, 1 month"), balance);
            let purpose = PaymentPurpose::Subscribe {
                terms,
                balance,
                what,
            };
            let place = settlement::begin(ctx, actor, &purpose, today, page).await?;
            return Ok(Chosen::Pay(place));
        }
        Effect::Now => {
            no_payment_under_way(&row)?;
            if today >= SMALLEST_CHARGE {
                let what = format!("{name} (prorated)");
                let ends_at = row.ends_at;
                let purpose = PaymentPurpose::Change {
                    terms,
                    ends_at,
                    what,
                };
                let new = NewPayment::by(actor, &purpose, today);
                let id = payments::insert_payment(&tx, &new).await?;
                row.payment_id = Some(id);
                subscriptions::save(&tx, row).await?;
                tx.commit().await?;
                let status = settlement::charge(ctx, &new.order(id), now).await?;
                return charged(status, &name).map(Chosen::Done);
            }
            let once = format!("change {}", now.millis());
            let origin = Origin::from(actor);
            subscriptions::apply(&mut tx, catalog, row, &terms, &origin, (&once, now)).await?;
            tx.commit().await?;
            return Ok(Chosen::Done(FormSuccess::with_message(format!(
                "You're now on {name}"
            ))));
        }
        Effect::Later | Effect::Keep => {}
    }
    let turns_off =
        row.plan.as_deref() == Some(terms.plan.as_str()) && row.cdr_mode && !terms.cdr_mode;
    let (why, said) = if effect == Effect::Later && turns_off {
        let option = &catalog.cdr_mode.name;
        ("later", format!("{option} turns off on {at}"))
    } else if effect == Effect::Later {
        ("later", format!("{name} starts on {at}"))
    } else {
        ("kept", format!("You'll stay on {name}"))
    };
    let data = note(why);
    row.set_next(Some(terms).filter(|_| effect == Effect::Later));
    row.cancelled = false;
    row.freezes_at = None;
    subscriptions::save(&tx, row).await?;
    let what = EventType::BillingPlanChanged;
    subscriptions::record_event(&mut tx, actor.workspace(), actor.into(), what, data).await?;
    tx.commit().await?;
    Ok(Chosen::Done(FormSuccess::with_message(said)))
}

fn charged(status: PaymentStatus, name: &str) -> Result<FormSuccess, AppError> {
    match status {
        PaymentStatus::Paid => Ok(FormSuccess::with_message(format!("You're now on {name}"))),
        PaymentStatus::Declined | PaymentStatus::Expired => Err(AppError::Conflict(
            "Your card was declined. Update your payment method and try again.".to_owned(),
        )),
        PaymentStatus::Started | PaymentStatus::Open | PaymentStatus::Confirming => {
            Ok(FormSuccess::with_message(
                "Waiting for your bank. Your plan changes once the payment is confirmed.",
            ))
        }
    }
}

fn no_payment_under_way(row: &Subscription) -> Result<(), AppError> {
    if row.payment_id.is_some() {
        return Err(AppError::Conflict(
            "A payment is being processed. Try again once it's complete.".to_owned(),
        ));
    }
    Ok(())
}

/// Ends the subscription at the end of the paid period, or immediately if no period is paid.
pub async fn cancel(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    now: Timestamp,
) -> Result<FormSuccess, AppError> {
    actor.person().require_fresh(Sensitive::Buy)?;
    let mut tx = ctx.db().begin().await?;
    let mut row = locked(&tx, actor).await?;
    if row.status == SubscriptionStatus::PastDue {
        no_payment_under_way(&row)?;
        subscriptions::end(&mut tx, row, now, "cancelled").await?;
        tx.commit().await?;
        return Ok(FormSuccess::with_message("Subscription cancelled"));
    }
    if !row.is_running(now) {
        return Err(AppError::Conflict(
            "There's no subscription to cancel.".to_owned(),
        ));
    }
    let at = row.ends_at;
    let said = FormSuccess::with_message(format!(
        "Subscription cancelled. You keep full access until {}.",
        at.date()
    ));
    if row.cancelled {
        return Ok(said);
    }
    row.cancelled = true;
    row.freezes_at = Some(at);
    let data = json!({"from": row.plan, "to": null, "why": "to_cancel", "at": at.date()});
    subscriptions::save(&tx, row).await?;
    let what = EventType::BillingPlanChanged;
    subscriptions::record_event(&mut tx, actor.workspace(), actor.into(), what, data).await?;
    tx.commit().await?;
    Ok(said)
}

/// Undoes a cancellation before the paid period ends.
pub async fn resume(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    now: Timestamp,
) -> Result<FormSuccess, AppError> {
    actor.person().require_fresh(Sensitive::Buy)?;
    let mut tx = ctx.db().begin().await?;
    let mut row = locked(&tx, actor).await?;
    if !row.is_running(now) {
        return Err(AppError::Conflict(
            "Your subscription has ended. Choose a plan to continue.".to_owned(),
        ));
    }
    let said = FormSuccess::with_message("Subscription resumed");
    if !row.cancelled {
        return Ok(said);
    }
    row.cancelled = false;
    row.freezes_at = None;
    let terms = row.next_terms();
    let data = json!({
        "from": null, "to": terms.as_ref().map(|terms| &terms.plan), "why": "resumed",
        "name": terms.map(|terms| terms.name(ctx.catalog())),
    });
    subscriptions::save(&tx, row).await?;
    let what = EventType::BillingPlanChanged;
    subscriptions::record_event(&mut tx, actor.workspace(), actor.into(), what, data).await?;
    tx.commit().await?;
    Ok(said)
}

/// The provider's page for changing the saved card.
pub async fn manage(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    page: &str,
) -> Result<String, AppError> {
    actor.person().require_fresh(Sensitive::Buy)?;
    ctx.payments()
        .manage(ctx.provider_context(), actor.workspace(), page)
        .await
}

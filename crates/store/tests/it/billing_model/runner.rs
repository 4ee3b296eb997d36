//! Does each step in the store and in the model, and compares them.

use domain::payments::{Choice, PaymentStatus};
use domain::subscriptions::{SubscriptionStatus, Terms};
use domain::{AppError, Money, PaymentId, Timestamp, WorkspaceId, hours};
use proptest::prelude::*;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;
use store::auth::{Actor, Unattended};
use store::billing::{self, Chosen, subscriptions};
use store::credits::verify::verify;
use store::db::entity::{self, payment, subscription};
use store::payments::provider::Order;
use store::payments::simulated;
use store::settlement;
use store::settlement::simulated_events;

use super::{Model, Paid, Renewal, Step};
use crate::reversals::{dispute, paid, tell};
use crate::support::TestEnv;

/// More than anything costs.
const AGREED: Money = Money::from_cents(100_000_000);

async fn row(env: &TestEnv, id: WorkspaceId) -> subscription::Model {
    entity::Subscription::find_by_id(id)
        .one(env.ctx.db().read())
        .await
        .unwrap()
        .unwrap()
}

/// Pays on the provider's page, at that moment.
async fn pay(env: &TestEnv, place: &str, now: Timestamp) {
    let ctx = &env.ctx;
    let checkout = place.strip_prefix("/pay/").unwrap();
    simulated::decide(ctx.db(), checkout, Choice::Pay)
        .await
        .unwrap();
    let payment = entity::Payment::find()
        .filter(payment::Column::CheckoutId.eq(checkout))
        .one(ctx.db().read())
        .await
        .unwrap()
        .unwrap();
    let mut tx = ctx.db().begin().await.unwrap();
    let paid = PaymentStatus::Paid.into();
    settlement::settle(&mut tx, ctx.catalog(), payment.id, paid, now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn choose(
    env: &TestEnv,
    actor: &Actor,
    terms: Terms,
    now: Timestamp,
) -> Result<(), AppError> {
    match billing::choose(&env.ctx, &actor.permit()?, terms, AGREED, "/", now).await? {
        Chosen::Pay(place) => pay(env, &place, now).await,
        Chosen::Done(_) => {}
    }
    Ok(())
}

/// Opens two pages for the same, and pays on both.
async fn choose_twice(env: &TestEnv, actor: &Actor, terms: Terms, now: Timestamp) {
    let mut places = Vec::new();
    for _ in 0..2 {
        let chosen = billing::choose(
            &env.ctx,
            &actor.permit().unwrap(),
            terms.clone(),
            AGREED,
            "/",
            now,
        )
        .await;
        match chosen.unwrap() {
            Chosen::Pay(place) => places.push(place),
            Chosen::Done(done) => panic!("{done:?}"),
        }
    }
    for place in places {
        pay(env, &place, now).await;
    }
}

async fn charge_and_stop(env: &TestEnv, id: WorkspaceId, payment: PaymentId) {
    let found = entity::Payment::find_by_id(payment)
        .one(env.ctx.db().read())
        .await
        .unwrap()
        .unwrap();
    let order = Order {
        payment,
        workspace: id,
        keeps_card: false,
        amount: found.amount,
        description: String::new(),
        return_path: String::new(),
    };
    env.ctx
        .payments()
        .charge(env.ctx.provider_context(), &order)
        .await
        .unwrap();
}

/// What went back of a payment, or is to: done in the model, and told or asked of the store.
async fn reverse(env: &TestEnv, model: &mut Model, id: WorkspaceId, step: &Step, number: usize) {
    let (Step::Refund { payment, .. }
    | Step::RefundFails { payment }
    | Step::Dispute { payment, .. }
    | Step::Decide { payment, .. }) = *step
    else {
        return;
    };
    let Some(there) = model.paid.get(payment) else {
        return;
    };
    let real = paid(env, id).await[payment].id;
    let refund = |name: &str, cents: i64, status: &str| {
        json!({
            "id": name, "object": "refund", "amount": cents, "status": status, "metadata": {"payment": real},
        })
    };
    match *step {
        // The simulated provider knows nothing of what is done on its own pages: each payment is paid back in one way.
        Step::Refund { percent, .. } if payment % 2 == 0 => {
            let cents = Ord::max(there.left() * percent / 100, 1);
            let fits = cents <= there.left();
            let done = settlement::refund(
                Unattended::Operator,
                &env.ctx,
                real,
                Some(Money::from_cents(cents)),
            )
            .await;
            assert_eq!(fits, done.is_ok(), "{done:?}");
            if fits {
                model.change(payment, |paid| paid.refunded += cents);
            }
        }
        Step::Refund { percent, .. } => {
            let (name, cents) = (format!("re_{real}_{number}"), there.left() * percent / 100);
            tell(env, "refund.created", &refund(&name, cents, "pending")).await;
            tell(env, "refund.updated", &refund(&name, cents, "succeeded")).await;
            model.change(payment, |paid| paid.told.push((name, cents, true)));
        }
        Step::RefundFails { .. } => {
            let Some((name, cents, _)) = there.told.last().cloned() else {
                return;
            };
            tell(env, "refund.failed", &refund(&name, cents, "failed")).await;
            tell(env, "refund.created", &refund(&name, cents, "pending")).await;
            model.change(payment, |paid| paid.told.last_mut().unwrap().2 = false);
        }
        Step::Dispute { percent, .. } => {
            let (name, cents) = (format!("du_{real}_{number}"), there.amount * percent / 100);
            for (kind, status) in [
                ("charge.dispute.created", "warning_needs_response"),
                ("charge.dispute.funds_withdrawn", "needs_response"),
                ("charge.dispute.created", "needs_response"),
            ] {
                tell(env, kind, &dispute(&name, real, cents, status)).await;
            }
            model.change(payment, |paid| paid.disputes.push((name, cents, true)));
        }
        _ => {
            let Some((name, cents, _)) = there.disputes.last().cloned() else {
                return;
            };
            let won = matches!(step, Step::Decide { won: true, .. });
            let status = if won { "won" } else { "lost" };
            let object = |status| dispute(&name, real, cents, status);
            tell(env, "charge.dispute.closed", &object(status)).await;
            tell(env, "charge.dispute.updated", &object("under_review")).await;
            model.change(payment, |paid| paid.disputes.last_mut().unwrap().2 &= !won);
        }
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "a table: what each step does, in both"
)]
pub(super) async fn run(env: &TestEnv, actor: &Actor, steps: &[Step]) -> Result<(), TestCaseError> {
    let (ctx, id) = (&env.ctx, actor.workspace());
    let catalog = ctx.catalog();
    let first = row(env, id).await;
    let mut now = first.begins_at;
    let mut model = Model {
        status: SubscriptionStatus::Trial,
        terms: None,
        next: None,
        cancelled: false,
        anchor: first.billing_cycle_anchor,
        months: 0,
        begins: first.begins_at,
        ends: first.ends_at,
        declines: 0,
        retry: None,
        renewal: Renewal::None,
        card: None,
        bill: (0, 0),
        balance: 0,
        paid: Vec::new(),
    };
    for (number, step) in steps.iter().enumerate() {
        match *step {
            // Paid by hand while the card was charged already, a month more is granted: a test of its own.
            Step::Choose { .. } | Step::Twice { .. }
                if matches!(model.renewal, Renewal::Tried(_)) =>
            {
                continue;
            }
            Step::Twice { .. } if model.runs(now) => continue,
            Step::Twice { plan } => {
                let plan = catalog.plans[plan].id.clone();
                let terms = Terms {
                    plan,
                    cdr_mode: false,
                };
                choose_twice(env, actor, terms.clone(), now).await;
                model.choose(catalog, terms, now);
                let amount = model.paid.last().unwrap().amount;
                model.paid.push(Paid::new(amount));
                model.balance += amount;
            }
            Step::Refund { .. }
            | Step::RefundFails { .. }
            | Step::Dispute { .. }
            | Step::Decide { .. } => reverse(env, &mut model, id, step, number).await,
            Step::Choose { plan, cdr_mode } => {
                let plan = catalog.plans[plan].id.clone();
                let terms = Terms { plan, cdr_mode };
                let expected = model.choose(catalog, terms.clone(), now);
                let done = choose(env, actor, terms, now).await;
                prop_assert_eq!(expected, done.is_ok(), "{:?}: {:?}", step, done);
            }
            Step::Cancel => {
                let done = billing::cancel(ctx, &actor.permit().unwrap(), now).await;
                prop_assert_eq!(model.cancel(now), done.is_ok(), "{:?}: {:?}", step, done);
            }
            Step::Resume => {
                let done = billing::resume(ctx, &actor.permit().unwrap(), now).await;
                prop_assert_eq!(model.runs(now), done.is_ok(), "{:?}: {:?}", step, done);
                model.cancelled &= !model.runs(now);
            }
            Step::Card(works) => {
                let place = billing::manage(ctx, &actor.permit().unwrap(), "/")
                    .await
                    .unwrap();
                let token = place.strip_prefix("/pay/card/").unwrap();
                simulated::set_card(ctx.db(), token, works).await.unwrap();
                model.card = Some(works);
            }
            Step::Pass { hours: time } => now = now.after(hours(time)),
            Step::Work => {
                subscriptions::process_due(ctx, now).await.unwrap();
                model.work(catalog, now);
            }
            Step::Charge => {
                settlement::reconcile_pending(ctx, now).await.unwrap();
                model.charge(now);
            }
            Step::ChargeAndStop => {
                if let (Renewal::Written, Some(payment)) =
                    (model.renewal, row(env, id).await.payment_id)
                {
                    charge_and_stop(env, id, payment).await;
                    model.renewal = Renewal::Tried(model.card == Some(true));
                }
            }
            Step::Tell => {
                // Only what is applied already: told of a charge before that, the provider's clock would count.
                if model.renewal == Renewal::None {
                    simulated_events::deliver_events(ctx, now).await.unwrap();
                }
            }
        }
        let real = row(env, id).await;
        let next = real.next_plan.as_ref().and_then(|_| real.next_terms());
        prop_assert_eq!(
            (
                real.status,
                real.terms(),
                next,
                real.cancelled,
                real.begins_at,
                real.ends_at,
                real.payment_id.is_some()
            ),
            (
                model.status,
                model.terms.clone(),
                model.next.clone(),
                model.cancelled,
                model.begins,
                model.ends,
                model.renewal != Renewal::None
            ),
            "after {:?}",
            step
        );
        let money: Vec<(i64, (i64, i64))> = paid(env, id)
            .await
            .iter()
            .map(|row| {
                let back = (row.refunded.cents(), row.disputed.cents());
                (row.amount.cents(), back)
            })
            .collect();
        let expected = model.paid.iter().map(|paid| (paid.amount, paid.back()));
        prop_assert_eq!(money, expected.collect::<Vec<_>>(), "after {:?}", step);
        prop_assert_eq!(real.balance.cents(), model.balance, "after {:?}", step);
        let frozen = model.status == SubscriptionStatus::Frozen
            || (model.status == SubscriptionStatus::Trial || model.cancelled) && model.ends <= now;
        prop_assert_eq!(real.is_frozen(now), frozen, "after {:?}", step);
    }
    prop_assert_eq!(verify(ctx.db().read()).await.unwrap(), []);
    Ok(())
}

//! Subscriptions against a simple model of them: whatever people choose, cards do and time passes, and wherever the
//! program stops between, both end with the same, and what was charged is what the model says.

use domain::catalog::Catalog;
use domain::payments::{Choice, PaymentStatus};
use domain::subscriptions::{RETRIES, SubscriptionStatus, Terms, part};
use domain::{AppError, Money, PaymentId, Timestamp, WorkspaceId, hours};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sea_orm::{ColumnTrait, DbBackend, EntityTrait, QueryFilter};
use serde_json::json;
use store::auth::Actor;
use store::billing::{self, Chosen, subscriptions};
use store::credits::verify::verify;
use store::db::entity::{self, payment, subscription};
use store::payments::provider::Order;
use store::payments::simulated;
use store::settlement;
use store::settlement::simulated_events;
use tokio::runtime::Handle;

use crate::billing::on_trial;
use crate::reversals::{dispute, paid, tell};
use crate::support::{TestEnv, both};

#[derive(Clone, Debug)]
enum Step {
    Choose {
        plan: usize,
        cdr_mode: bool,
    },
    /// Two pages to pay on are opened, and both are paid.
    Twice {
        plan: usize,
    },
    /// Part of what is left of a payment is paid back: by the operator, or on the provider's own pages.
    Refund {
        payment: usize,
        percent: i64,
    },
    /// The last refund on the provider's own pages turns out to fail.
    RefundFails {
        payment: usize,
    },
    /// The bank takes part of a payment back.
    Dispute {
        payment: usize,
        percent: i64,
    },
    /// The payment's last dispute is decided.
    Decide {
        payment: usize,
        won: bool,
    },
    Cancel,
    Resume,
    /// The card is changed for one that can be charged, or cannot.
    Card(bool),
    Pass {
        hours: u64,
    },
    /// The worker moves on what is due.
    Work,
    /// A renewal that was written down is charged, and what became of it applied.
    Charge,
    /// It is charged, and the program stops before that is applied.
    ChargeAndStop,
    /// Events of the provider come in late.
    Tell,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, any::<bool>()).prop_map(|(plan, cdr_mode)| Step::Choose { plan, cdr_mode }),
        1 => (0..3_usize).prop_map(|plan| Step::Twice { plan }),
        2 => (0..6_usize, 1..=100_i64).prop_map(|(payment, percent)| Step::Refund { payment, percent }),
        1 => (0..6_usize).prop_map(|payment| Step::RefundFails { payment }),
        2 => (0..6_usize, 1..=150_i64).prop_map(|(payment, percent)| Step::Dispute { payment, percent }),
        2 => (0..6_usize, any::<bool>()).prop_map(|(payment, won)| Step::Decide { payment, won }),
        1 => Just(Step::Cancel),
        1 => Just(Step::Resume),
        1 => any::<bool>().prop_map(Step::Card),
        4 => (1..900_u64).prop_map(|hours| Step::Pass { hours }),
        4 => Just(Step::Work),
        3 => Just(Step::Charge),
        1 => Just(Step::ChargeAndStop),
        1 => Just(Step::Tell),
    ]
}

/// How far a renewal is.
#[derive(Clone, Copy, PartialEq)]
enum Renewal {
    None,
    Written,
    /// The card was tried; whether it was charged.
    Tried(bool),
}

/// A payment that went through, in cents, and what went back of it.
#[derive(Debug, Default)]
struct Paid {
    amount: i64,
    /// By the operator.
    refunded: i64,
    /// On the provider's own pages, and by banks: its name, how much, and whether it stands.
    told: Vec<(String, i64, bool)>,
    disputes: Vec<(String, i64, bool)>,
}

impl Paid {
    fn new(amount: i64) -> Self {
        Self {
            amount,
            ..Self::default()
        }
    }

    /// What is refunded of it, and what is disputed.
    fn back(&self) -> (i64, i64) {
        let sum = |all: &[(String, i64, bool)]| -> i64 {
            let standing = all.iter().filter(|(_, _, stands)| *stands);
            standing.map(|(_, cents, _)| cents).sum()
        };
        let refunded = Ord::min(self.refunded + sum(&self.told), self.amount);
        (
            refunded,
            Ord::min(sum(&self.disputes), self.amount - refunded),
        )
    }

    fn left(&self) -> i64 {
        let (refunded, disputed) = self.back();
        self.amount - refunded - disputed
    }
}

/// A subscription, said as simply as can be.
struct Model {
    status: SubscriptionStatus,
    terms: Option<Terms>,
    next: Option<Terms>,
    cancelled: bool,
    anchor: Timestamp,
    months: u32,
    begins: Timestamp,
    ends: Timestamp,
    declines: usize,
    retry: Option<Timestamp>,
    renewal: Renewal,
    card: Option<bool>,
    /// What the renewal charges, and what of the balance goes with it, in cents.
    bill: (i64, i64),
    /// Cents.
    balance: i64,
    paid: Vec<Paid>,
}

impl Model {
    fn runs(&self, now: Timestamp) -> bool {
        self.status == SubscriptionStatus::Active && now < self.ends
    }

    fn freeze(&mut self) {
        self.status = SubscriptionStatus::Frozen;
        (self.next, self.cancelled, self.renewal) = (None, false, Renewal::None);
    }

    fn begin(&mut self, terms: Terms) {
        self.status = SubscriptionStatus::Active;
        self.terms = Some(terms);
        (self.next, self.cancelled, self.renewal) = (None, false, Renewal::None);
        self.declines = 0;
    }

    /// Answers whether it is expected to succeed.
    fn choose(&mut self, catalog: &Catalog, terms: Terms, now: Timestamp) -> bool {
        let Some(price) = terms.price(catalog).map(Money::cents) else {
            return false;
        };
        if !self.runs(now) {
            let trial = self.status == SubscriptionStatus::Trial;
            self.anchor = if trial { self.ends.max(now) } else { now };
            (self.months, self.begins) = (1, now);
            self.ends = self.anchor.months_after(1);
            // What is owed is paid with it.
            self.paid.push(Paid::new(price - Ord::min(self.balance, 0)));
            self.balance = Ord::max(self.balance, 0);
            self.card = Some(true);
            self.begin(terms);
            return true;
        }
        let current = self.terms.clone().unwrap();
        let cost = current.price(catalog).unwrap().cents();
        if current == terms {
            (self.next, self.cancelled) = (None, false);
        } else if price > cost {
            let today = part(
                price - cost,
                self.ends.since(now),
                self.ends.since(self.begins),
            );
            if today >= 50 {
                if self.card != Some(true) {
                    return false;
                }
                self.paid.push(Paid::new(today));
            }
            let declines = self.declines;
            self.begin(terms);
            self.declines = declines;
        } else {
            (self.next, self.cancelled) = (Some(terms), false);
        }
        true
    }

    fn cancel(&mut self, now: Timestamp) -> bool {
        if self.status == SubscriptionStatus::PastDue && self.renewal == Renewal::None {
            self.freeze();
            return true;
        }
        let runs = self.runs(now);
        self.cancelled |= runs;
        runs
    }

    /// What happens to a payment goes off the balance, or comes back to it.
    fn change(&mut self, payment: usize, change: impl FnOnce(&mut Paid)) {
        let before = self.paid[payment].left();
        change(&mut self.paid[payment]);
        self.balance += self.paid[payment].left() - before;
    }

    fn work(&mut self, catalog: &Catalog, now: Timestamp) {
        let due = match self.status {
            SubscriptionStatus::Trial | SubscriptionStatus::Active => self.ends <= now,
            SubscriptionStatus::PastDue => self.retry.is_some_and(|at| at <= now),
            SubscriptionStatus::Frozen => false,
        };
        if !due || self.renewal != Renewal::None {
            return;
        }
        if self.status == SubscriptionStatus::Trial || self.cancelled {
            self.freeze();
        } else {
            let price = self.next_terms().price(catalog).unwrap().cents();
            let used = Ord::min(self.balance, price);
            if price - used < 50 {
                self.balance -= used;
                self.advance(now);
            } else {
                self.bill = (price - used, used);
                self.renewal = Renewal::Written;
            }
        }
    }

    fn next_terms(&self) -> Terms {
        self.next.clone().or_else(|| self.terms.clone()).unwrap()
    }

    fn advance(&mut self, now: Timestamp) {
        let terms = self.next_terms();
        self.months += 1;
        self.begins = self.ends;
        self.ends = self.anchor.months_after(self.months);
        if self.ends <= now {
            (self.anchor, self.months, self.begins) = (now, 1, now);
            self.ends = now.months_after(1);
        }
        self.begin(terms);
    }

    fn charge(&mut self, now: Timestamp) {
        let charged = match std::mem::replace(&mut self.renewal, Renewal::None) {
            Renewal::None => return,
            Renewal::Written => self.card == Some(true),
            Renewal::Tried(charged) => charged,
        };
        if charged {
            let (amount, used) = self.bill;
            self.paid.push(Paid::new(amount));
            self.balance -= used;
            self.advance(now);
        } else {
            self.declines += 1;
            match RETRIES.get(self.declines - 1) {
                Some(gap) => {
                    self.status = SubscriptionStatus::PastDue;
                    self.retry = Some(now.after(*gap));
                }
                None => self.freeze(),
            }
        }
    }
}

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
    match billing::choose(&env.ctx, actor, terms, AGREED, "/", now).await? {
        Chosen::Pay(place) => pay(env, &place, now).await,
        Chosen::Done(_) => {}
    }
    Ok(())
}

/// Opens two pages for the same, and pays on both.
async fn choose_twice(env: &TestEnv, actor: &Actor, terms: Terms, now: Timestamp) {
    let mut places = Vec::new();
    for _ in 0..2 {
        let chosen = billing::choose(&env.ctx, actor, terms.clone(), AGREED, "/", now).await;
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
            let done = settlement::refund(&env.ctx, real, Some(Money::from_cents(cents))).await;
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
async fn run(env: &TestEnv, actor: &Actor, steps: &[Step]) -> Result<(), TestCaseError> {
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
                let done = billing::cancel(ctx, actor, now).await;
                prop_assert_eq!(model.cancel(now), done.is_ok(), "{:?}: {:?}", step, done);
            }
            Step::Resume => {
                let done = billing::resume(ctx, actor, now).await;
                prop_assert_eq!(model.runs(now), done.is_ok(), "{:?}: {:?}", step, done);
                model.cancelled &= !model.runs(now);
            }
            Step::Card(works) => {
                let place = billing::manage(ctx, actor, "/").await.unwrap();
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

both! {
    async fn a_subscription_does_what_the_model_says(env) {
        let cases = match env.ctx.db().backend() {
            DbBackend::Postgres => 25,
            _ => 60,
        };
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 100, ..Config::default() };
        let steps = proptest::collection::vec(step(), 1..40);
        let count = std::cell::Cell::new(0);
        let found = TestRunner::new(config).run(&steps, |steps| {
            count.set(count.get() + 1);
            let slug = format!("model-{}", count.get());
            tokio::task::block_in_place(|| Handle::current().block_on(async {
                let actor = on_trial(env, &slug).await;
                run(env, &actor, &steps).await
            }))
        });
        if let Err(error) = found {
            panic!("{error}");
        }
    }
}

//! Subscriptions against a simple model of them: whatever people choose, cards do and time passes, and wherever the
//! program stops between, both end with the same, and what was charged is what the model says.

mod runner;

use domain::catalog::Catalog;
use domain::subscriptions::{RETRIES, SubscriptionStatus, Terms, part};
use domain::{Money, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sea_orm::DbBackend;
use tokio::runtime::Handle;

use crate::billing::on_trial;
use crate::support::both;
use runner::run;

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

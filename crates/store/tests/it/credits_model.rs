//! The ledger against a simple model of it: whatever is done in whatever order, both end with the same.

use std::time::Duration;

use domain::catalog::{Catalog, Mode};
use domain::credits::GrantKind;
use domain::{AppError, CreditEntryId, CreditHoldId, Timestamp, days, hours, minutes};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sea_orm::{ColumnTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder};
use store::auth::{Principal, Unattended};
use store::credits::dto::Use;
use store::credits::verify::verify;
use store::credits::{self, holds};
use store::db::entity::{self, credit_grant};
use store::events::Origin;
use tokio::runtime::Handle;

use crate::support::{MIA, TestEnv, both};

#[derive(Clone, Debug)]
enum Step {
    Spend {
        feature: usize,
        quantity: u32,
    },
    Buy(u32),
    Renew {
        plan: usize,
        days: u64,
    },
    Reserve {
        feature: usize,
        quantity: u32,
        minutes: u64,
    },
    Capture {
        hold: usize,
        percent: u32,
    },
    Release {
        hold: usize,
    },
    Refund {
        spend: usize,
        percent: u32,
    },
    /// So much of a purchase is to be taken back in all: more than before, or less.
    TakeBack {
        bought: usize,
        percent: i64,
    },
    Pass {
        hours: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..8_usize, 1..90_u32).prop_map(|(feature, quantity)| Step::Spend { feature, quantity }),
        2 => (1..400_u32).prop_map(Step::Buy),
        1 => (0..3_usize, 1..20_u64).prop_map(|(plan, days)| Step::Renew { plan, days }),
        3 => (0..8_usize, 1..60_u32, 1..900_u64)
            .prop_map(|(feature, quantity, minutes)| Step::Reserve { feature, quantity, minutes }),
        2 => (0..6_usize, 1..=100_u32).prop_map(|(hold, percent)| Step::Capture { hold, percent }),
        1 => (0..6_usize).prop_map(|hold| Step::Release { hold }),
        2 => (0..6_usize, 1..=100_u32).prop_map(|(spend, percent)| Step::Refund { spend, percent }),
        2 => (0..4_usize, 0..=100_i64).prop_map(|(bought, percent)| Step::TakeBack { bought, percent }),
        2 => (1..200_u64).prop_map(|hours| Step::Pass { hours }),
    ]
}

type Parts = Vec<(usize, i64)>;

struct Grant {
    plan: bool,
    left: i64,
    /// Milliseconds until it expires.
    ends: Option<i64>,
}

struct Hold {
    id: CreditHoldId,
    parts: Parts,
    unit: i64,
    quantity: i64,
    ends: i64,
    stands: bool,
}

struct Spend {
    id: CreditEntryId,
    parts: Parts,
    refunded: i64,
}

struct Bought {
    grant: usize,
    once: String,
    credits: i64,
    taken: i64,
}

/// What credits are, said as simply as can be.
struct Model {
    grants: Vec<Grant>,
    bought: Vec<Bought>,
    holds: Vec<Hold>,
    spends: Vec<Spend>,
}

impl Model {
    fn sum(&self, plan: bool) -> i64 {
        let of_kind = self.grants.iter().filter(|grant| grant.plan == plan);
        of_kind.map(|grant| grant.left).sum()
    }

    fn settle(&mut self) {
        for hold in &mut self.holds {
            if hold.stands && hold.ends <= 0 {
                hold.stands = false;
                for (grant, part) in &hold.parts {
                    self.grants[*grant].left += part;
                }
            }
        }
        for grant in &mut self.grants {
            if grant.ends.is_some_and(|ends| ends <= 0) {
                grant.left = 0;
            }
        }
    }

    fn take(&mut self, credits: i64) -> Option<Parts> {
        if credits > self.sum(true) + self.sum(false) {
            return None;
        }
        let (mut parts, mut missing) = (Parts::new(), credits);
        for plan in [true, false] {
            for (index, grant) in self.grants.iter_mut().enumerate() {
                let part = Ord::min(grant.left, missing);
                if grant.plan == plan && part > 0 {
                    grant.left -= part;
                    missing -= part;
                    parts.push((index, part));
                }
            }
        }
        Some(parts)
    }

    /// Moves the first `credits` of these parts, after as many as `skip`; `sign` says which way.
    fn shift(&mut self, parts: &[(usize, i64)], mut skip: i64, mut credits: i64, sign: i64) {
        for (grant, part) in parts {
            let passed = Ord::min(*part, skip);
            skip -= passed;
            let moved = Ord::min(part - passed, credits);
            credits -= moved;
            self.grants[*grant].left += sign * moved;
        }
    }

    fn pass(&mut self, time: Duration) {
        let time = i64::try_from(time.as_millis()).unwrap();
        for grant in &mut self.grants {
            grant.ends = grant.ends.map(|ends| ends - time);
        }
        for hold in &mut self.holds {
            hold.ends -= time;
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap()
}

/// Part of a whole, at least one.
fn part(whole: i64, percent: u32) -> i64 {
    (whole * i64::from(percent)).div_euclid(100).max(1)
}

#[expect(
    clippy::too_many_lines,
    reason = "a table: what each step does, in both"
)]
async fn run(env: &TestEnv, mia: &Principal, steps: &[Step]) -> Result<(), TestCaseError> {
    let (catalog, acme) = (Catalog::built_in(), mia.workspace());
    let of_acme = || {
        entity::CreditGrant::find()
            .filter(credit_grant::Column::WorkspaceId.eq(acme))
            .filter(credit_grant::Column::Mode.eq(Mode::Live))
            .order_by_asc(credit_grant::Column::Id)
    };
    // Taken back at the end: each case begins with the demo.
    let mut tx = env.ctx.db().begin().await.unwrap();
    let now = Timestamp::now();
    let grants = of_acme().all(&tx).await.unwrap();
    let mut model = Model {
        grants: grants
            .iter()
            .map(|grant| Grant {
                plan: grant.kind == GrantKind::Plan,
                left: grant.remaining,
                ends: grant.expires_at.map(|at| at.millis() - now.millis()),
            })
            .collect(),
        bought: Vec::new(),
        holds: Vec::new(),
        spends: Vec::new(),
    };
    for (index, step) in steps.iter().enumerate() {
        let uses = |feature: usize, quantity| {
            let feature = &catalog.features[feature];
            let wanted = Use::new(&catalog, &feature.id, Some(quantity), None).unwrap();
            (wanted, i64::from(feature.credits))
        };
        let is_short = |error: &AppError| matches!(error, AppError::CreditsShort { .. });
        if !matches!(step, Step::Pass { .. }) {
            model.settle();
        }
        match *step {
            Step::Spend { feature, quantity } => {
                let (wanted, _) = uses(feature, quantity);
                let done = credits::spend(&mut tx, &mia.permit().unwrap(), &wanted, None).await;
                match (model.take(wanted.credits()), done) {
                    (Some(parts), Ok(entry)) => model.spends.push(Spend {
                        id: entry.id,
                        parts,
                        refunded: 0,
                    }),
                    (None, Err(error)) if is_short(&error) => {}
                    (expected, done) => prop_assert!(false, "{step:?}: {expected:?}, {done:?}"),
                }
            }
            Step::Buy(credits) => {
                let once = format!("payment {index}");
                credits::purchase(
                    Unattended::Provider,
                    &mut tx,
                    acme,
                    &Origin::system(),
                    credits,
                    &once,
                )
                .await
                .unwrap();
                model.bought.push(Bought {
                    grant: model.grants.len(),
                    once,
                    credits: credits.into(),
                    taken: 0,
                });
                model.grants.push(Grant {
                    plan: false,
                    left: credits.into(),
                    ends: None,
                });
            }
            Step::Renew { plan, days: length } => {
                let plan = &catalog.plans[plan];
                let until = Timestamp::now().after(days(length));
                credits::renew(
                    Unattended::Worker,
                    &mut tx,
                    acme,
                    plan,
                    until,
                    &format!("period {index}"),
                )
                .await
                .unwrap();
                for grant in model.grants.iter_mut().filter(|grant| grant.plan) {
                    (grant.left, grant.ends) = (0, Some(0));
                }
                model.grants.push(Grant {
                    plan: true,
                    left: plan.credits.into(),
                    ends: Some(millis(days(length))),
                });
            }
            Step::Reserve {
                feature,
                quantity,
                minutes: life,
            } => {
                let (wanted, unit) = uses(feature, quantity);
                let done =
                    holds::reserve(&mut tx, &mia.permit().unwrap(), &wanted, minutes(life)).await;
                match (model.take(wanted.credits()), done) {
                    (Some(parts), Ok(hold)) => model.holds.push(Hold {
                        id: hold.id,
                        parts,
                        unit,
                        quantity: quantity.into(),
                        ends: millis(minutes(life)),
                        stands: true,
                    }),
                    (None, Err(error)) if is_short(&error) => {}
                    (expected, done) => prop_assert!(false, "{step:?}: {expected:?}, {done:?}"),
                }
            }
            Step::Capture { hold, percent } => {
                let Some(hold) = model.holds.get_mut(hold) else {
                    continue;
                };
                let quantity = part(hold.quantity, percent);
                let done =
                    holds::capture(&mut tx, &mia.permit().unwrap(), hold.id, Some(quantity)).await;
                prop_assert_eq!(hold.stands, done.is_ok(), "{:?}: {:?}", step, done);
                if std::mem::take(&mut hold.stands) {
                    let (parts, spent) = (hold.parts.clone(), quantity * hold.unit);
                    model.shift(&parts, 0, i64::MAX, 1);
                    model.shift(&parts, 0, spent, -1);
                }
            }
            Step::Release { hold } => {
                let Some(hold) = model.holds.get_mut(hold) else {
                    continue;
                };
                let done = holds::release(&mut tx, &mia.permit().unwrap(), hold.id).await;
                prop_assert_eq!(hold.stands, done.is_ok(), "{:?}: {:?}", step, done);
                if std::mem::take(&mut hold.stands) {
                    let parts = hold.parts.clone();
                    model.shift(&parts, 0, i64::MAX, 1);
                }
            }
            Step::Refund { spend, percent } => {
                let Some(spend) = model.spends.get_mut(spend) else {
                    continue;
                };
                let whole: i64 = spend.parts.iter().map(|(_, part)| part).sum();
                let wanted = part(whole, percent);
                let credits = u32::try_from(wanted).ok();
                let done = credits::refund(Unattended::Operator, &mut tx, spend.id, credits).await;
                let fits = spend.refunded + wanted <= whole;
                prop_assert_eq!(fits, done.is_ok(), "{:?}: {:?}", step, done);
                if fits {
                    let (parts, before) = (spend.parts.clone(), spend.refunded);
                    spend.refunded += wanted;
                    let back: Parts = parts.into_iter().rev().collect();
                    model.shift(&back, before, wanted, 1);
                }
            }
            Step::TakeBack { bought, percent } => {
                let Some(bought) = model.bought.get_mut(bought) else {
                    continue;
                };
                let due = bought.credits * percent / 100;
                let took = credits::set_taken_back(&mut tx, acme, &bought.once, due)
                    .await
                    .unwrap();
                let grant = &mut model.grants[bought.grant];
                let more = Ord::min(due - bought.taken, grant.left);
                let before = bought.taken;
                bought.taken += more;
                grant.left -= more;
                prop_assert_eq!(took, Some((before, bought.taken)), "{:?}", step);
            }
            Step::Pass { hours: time } => {
                crate::credits::pass(&tx, acme, hours(time)).await;
                model.pass(hours(time));
                continue;
            }
        }
        model.settle();
        let grants = of_acme().all(&tx).await.unwrap();
        let real: Vec<i64> = grants.iter().map(|grant| grant.remaining).collect();
        let expected: Vec<i64> = model.grants.iter().map(|grant| grant.left).collect();
        prop_assert_eq!(real, expected, "after {:?}", step);
    }
    prop_assert_eq!(verify(&tx).await.unwrap(), []);
    tx.rollback().await.unwrap();
    Ok(())
}

both! {
    async fn the_ledger_does_what_the_model_says(env) {
        let mia = Principal::from(env.actor(MIA, "acme").await);
        let cases = match env.ctx.db().backend() {
            DbBackend::Postgres => 40,
            _ => 300,
        };
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
        let steps = proptest::collection::vec(step(), 1..25);
        let found = TestRunner::new(config).run(&steps, |steps| {
            tokio::task::block_in_place(|| Handle::current().block_on(run(env, &mia, &steps)))
        });
        if let Err(error) = found {
            panic!("{error}");
        }
    }
}

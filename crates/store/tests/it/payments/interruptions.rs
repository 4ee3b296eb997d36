//! Payments that a crash interrupts at any step: what was charged is granted once.

use domain::payments::{Choice, PaymentStatus};
use domain::{Timestamp, days, minutes};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sea_orm::DbBackend;
use store::auth::Actor;
use store::payments::provider::Order;
use store::payments::simulated;
use store::settlement;
use store::settlement::simulated_events;
use tokio::runtime::Handle;

use super::{PAGE, PRICE, adds_up, credits, granted, payment};
use crate::support::{ADAM, TestEnv, both};

both! {
    async fn whatever_is_interrupted_what_was_charged_is_granted_once(env) {
        let adam = env.actor(ADAM, "acme").await;
        let cases = match env.ctx.db().backend() {
            DbBackend::Postgres => 30,
            _ => 120,
        };
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
        let steps = proptest::collection::vec(step(), 1..20);
        let found = TestRunner::new(config).run(&steps, |steps| {
            tokio::task::block_in_place(|| Handle::current().block_on(run(env, &adam, &steps)))
        });
        if let Err(error) = found {
            panic!("{error}");
        }
        adds_up(env).await;
    }
}

/// What happens, each part of it ended by a crash before the next.
#[derive(Clone, Debug)]
enum Step {
    /// Written down, and nothing else.
    WriteDown,
    /// The provider was asked for a page, and its answer lost.
    Ask(usize),
    /// Begun whole.
    Begin,
    /// Something is pressed on the provider's page, of which it has not told yet.
    Press(usize, Choice),
    /// The provider's clock goes on by minutes.
    Pass(u64),
    Tell,
    /// It is asked about what it has not told.
    Look(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let choice = prop_oneof![
        3 => Just(Choice::Pay),
        2 => Just(Choice::Confirm),
        1 => Just(Choice::Decline),
    ];
    prop_oneof![
        1 => Just(Step::WriteDown),
        2 => (0..5_usize).prop_map(Step::Ask),
        3 => Just(Step::Begin),
        5 => (0..5_usize, choice).prop_map(|(n, choice)| Step::Press(n, choice)),
        1 => (0..2000_u64).prop_map(Step::Pass),
        2 => Just(Step::Tell),
        2 => (0..3000_u64).prop_map(Step::Look),
    ]
}

/// A payment, and whether the provider charged for it.
struct Bought {
    order: Order,
    pressed: Option<Choice>,
}

async fn run(env: &TestEnv, adam: &Actor, steps: &[Step]) -> Result<(), TestCaseError> {
    let ctx = &env.ctx;
    let mut bought: Vec<Bought> = Vec::new();
    let write_down = async || {
        settlement::prepare(ctx, &adam.permit().unwrap(), &credits(), PRICE, PAGE)
            .await
            .unwrap()
    };
    for step in steps {
        match step {
            Step::WriteDown | Step::Begin => {
                let order = write_down().await;
                if matches!(step, Step::Begin) {
                    settlement::ask(ctx, &order).await.unwrap();
                }
                bought.push(Bought {
                    order,
                    pressed: None,
                });
            }
            Step::Ask(n) => {
                if let Some(one) = bought.get(*n) {
                    let first = ctx
                        .payments()
                        .checkout(ctx.provider_context(), &one.order)
                        .await
                        .unwrap();
                    let again = ctx
                        .payments()
                        .checkout(ctx.provider_context(), &one.order)
                        .await
                        .unwrap();
                    prop_assert_eq!(first.id, again.id, "asked twice for the same");
                }
            }
            Step::Press(n, choice) => {
                let Some(one) = bought.get_mut(*n) else {
                    continue;
                };
                let checkout = ctx
                    .payments()
                    .checkout(ctx.provider_context(), &one.order)
                    .await
                    .unwrap();
                let pressed = simulated::decide(ctx.db(), &checkout.id, *choice).await;
                if pressed.is_ok() {
                    prop_assert!(one.pressed.is_none(), "pressed twice");
                    one.pressed = Some(*choice);
                }
            }
            Step::Pass(time) => {
                simulated::process_due(ctx.db(), Timestamp::now().after(minutes(*time)))
                    .await
                    .unwrap();
            }
            Step::Tell => {
                simulated_events::deliver_events(ctx, Timestamp::now())
                    .await
                    .unwrap();
            }
            Step::Look(time) => {
                settlement::reconcile_pending(ctx, Timestamp::now().after(minutes(*time)))
                    .await
                    .unwrap();
            }
        }
    }
    // Started again, and left running for a while. The first look may ask before the provider has told.
    for later in [days(3), days(9), days(27)] {
        let now = Timestamp::now().after(later);
        settlement::reconcile_pending(ctx, now).await.unwrap();
        while simulated::process_due(ctx.db(), now).await.unwrap() > 0 {}
        while simulated_events::deliver_events(ctx, now).await.unwrap() > 0 {}
    }
    for one in &bought {
        let paid = matches!(one.pressed, Some(Choice::Pay | Choice::Confirm));
        let payment = payment(env, one.order.payment).await;
        prop_assert_eq!(
            granted(env, payment.id).await,
            usize::from(paid),
            "{:?}",
            payment
        );
        prop_assert_eq!(payment.status == PaymentStatus::Paid, paid, "{:?}", payment);
        prop_assert!(
            payment.finished_at.is_some() && payment.look_at.is_none(),
            "{:?}",
            payment
        );
    }
    Ok(())
}

//! Refunds and disputes of purchased credits: unspent credits go back, and the rest is owed.

use domain::credits::TopUp;
use domain::payments::{Choice, PaymentPurpose};
use domain::{Money, PaymentId, Timestamp, minutes};
use serde_json::{Value, json};
use store::auth::{Actor, Principal, Unattended};
use store::credits::dto::Use;
use store::credits::{top_up, view};
use store::settlement::simulated_events;
use store::{credits as ledger, settlement};

use super::{adds_up, balance, dispute, give_back, paid, tell, tell_of, told};
use crate::billing::{charged, row, work};
use crate::support::{ADAM, TestEnv, both};

const PAGE: &str = "/w/acme/settings/credits";
const PRICE: Money = Money::from_cents(2900);

fn refund(id: &str, payment: PaymentId, cents: i64, status: &str) -> Value {
    json!({
        "id": id, "object": "refund", "amount": cents, "currency": "usd", "status": status,
        "metadata": {"payment": payment},
    })
}

async fn buy(env: &TestEnv, actor: &Actor) -> PaymentId {
    let purpose = PaymentPurpose::Credits { credits: 1000 };
    let place = settlement::begin(&env.ctx, &actor.permit().unwrap(), &purpose, PRICE, PAGE)
        .await
        .unwrap();
    let checkout = place.strip_prefix("/pay/").unwrap();
    simulated_events::choose(&env.ctx, checkout, Choice::Pay)
        .await
        .unwrap();
    paid(env, actor.workspace()).await.last().unwrap().id
}

/// Uses up all credits but so many.
async fn spend_all_but(env: &TestEnv, actor: &Actor, left: i64) {
    let there = credits(env, actor).await;
    let principal = Principal::from(actor.clone()).permit().unwrap();
    let mut tx = env.ctx.db().begin().await.unwrap();
    let wanted = u32::try_from(there - left).unwrap();
    let wanted = Use::new(env.ctx.catalog(), "quick_answer", Some(wanted), None);
    ledger::spend(&mut tx, &principal, &wanted.unwrap(), None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn credits(env: &TestEnv, actor: &Actor) -> i64 {
    let principal = Principal::from(actor.clone()).permit().unwrap();
    view::balance(&env.ctx, &principal).await.unwrap().total()
}

both! {
    async fn credits_go_back_and_what_is_spent_of_them_is_owed(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let payment = buy(env, &adam).await;
        spend_all_but(env, &adam, 300).await;
        let object = |status: &str| dispute("du_1", payment, 2900, status);
        tell(env, "charge.dispute.created", &object("needs_response")).await;
        // 300 of 1,000 credits for $29 came back.
        assert_eq!((credits(env, &adam).await, balance(env, id).await), (0, -2030));
        tell(env, "charge.dispute.created", &object("needs_response")).await;
        adds_up(env).await;
        for kind in ["charge.dispute.closed", "charge.dispute.funds_reinstated", "charge.dispute.closed"] {
            tell(env, kind, &object("won")).await;
            assert_eq!((credits(env, &adam).await, balance(env, id).await), (300, 0));
        }
        adds_up(env).await;
        // Half of it paid back: 500 credits, of which 300 are there.
        give_back(env, payment, Some(1450)).await;
        assert_eq!((credits(env, &adam).await, balance(env, id).await), (0, -580));
        let due = row(env, id).await.ends_at;
        work(env, due).await;
        assert_eq!((charged(env, id).await.last(), balance(env, id).await), (Some(&(9900 + 580)), 0));
        adds_up(env).await;
    }

    async fn credits_that_are_all_there_go_back_and_nothing_is_owed(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let (there, payment) = (credits(env, &adam).await, buy(env, &adam).await);
        for part in [Some(1), Some(999), None] {
            give_back(env, payment, part).await;
            assert_eq!(balance(env, id).await, 0);
        }
        assert_eq!(credits(env, &adam).await, there);
        adds_up(env).await;
    }

    async fn a_refund_that_fails_gives_again_what_it_took(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let (there, payment) = (credits(env, &adam).await, buy(env, &adam).await);
        let before = told(env).await;
        let charge = |cents: i64| json!({"object": "charge", "amount_refunded": cents, "metadata": {"payment": payment}});
        let second = Timestamp::now().millis() / 1000;
        let failed = async || {
            tell_of(env, second + 1, "refund.failed", &refund("re_1", payment, 1450, "failed")).await;
            tell_of(env, second + 1, "refund.updated", &refund("re_1", payment, 1450, "failed")).await;
        };
        let begun = async || {
            tell_of(env, second, "refund.created", &refund("re_1", payment, 1450, "pending")).await;
            tell_of(env, second, "charge.refunded", &charge(1450)).await;
            tell_of(env, second, "refund.updated", &refund("re_1", payment, 1450, "succeeded")).await;
        };
        begun().await;
        assert_eq!(credits(env, &adam).await, there + 500, "told in two ways, it is one");
        failed().await;
        assert_eq!(credits(env, &adam).await, there + 1000);
        begun().await;
        assert_eq!(credits(env, &adam).await, there + 1000, "told late");
        assert_eq!(told(env).await, (before.0 + 1, before.1 + 1));
        // And the next one goes through.
        tell(env, "refund.created", &refund("re_2", payment, 2900, "succeeded")).await;
        tell(env, "charge.refunded", &charge(2900)).await;
        assert_eq!((credits(env, &adam).await, balance(env, id).await), (there, 0));
        adds_up(env).await;
    }

    async fn a_top_up_that_is_disputed_is_not_charged_again(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let wanted = TopUp { credits: 1000, limit: Money::from_cents(100_000) };
        top_up::set(&env.ctx, &adam.permit().unwrap(), Some(wanted), Timestamp::now()).await.unwrap();
        let there = credits(env, &adam).await;
        let need = async |more: i64| {
            let principal = adam.clone().into();
            let there = credits(env, &adam).await;
            top_up::shortfall(&env.ctx, &principal, there + more, there).await.unwrap();
            top_up::process_due(&env.ctx, Timestamp::now()).await.unwrap();
            work(env, Timestamp::now().after(minutes(2))).await;
        };
        need(500).await;
        assert_eq!(credits(env, &adam).await, there + 1000);
        let payment = paid(env, id).await.last().unwrap().id;
        tell(env, "charge.dispute.created", &dispute("du_1", payment, 2900, "needs_response")).await;
        assert_eq!((credits(env, &adam).await, balance(env, id).await), (there, 0));
        need(500).await;
        assert_eq!(credits(env, &adam).await, there, "it waits for somebody");
        adds_up(env).await;
    }

    async fn what_is_told_of_nobodys_payment_or_in_other_money_changes_nothing(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, payment) = (adam.workspace(), buy(env, &adam).await);
        let there = credits(env, &adam).await;
        tell(env, "charge.dispute.created", &dispute("du_1", PaymentId::new(), 2900, "needs_response")).await;
        tell(env, "charge.dispute.created", &json!({"id": "du_2", "amount": 2900, "charge": "ch_else"})).await;
        let mut other = dispute("du_3", payment, 2900, "needs_response");
        other["currency"] = json!("jpy");
        tell(env, "charge.dispute.created", &other).await;
        tell(env, "charge.dispute.created", &json!({"id": 7, "amount": "much", "metadata": [], "payment_intent": 1})).await;
        tell(env, "customer.updated", &json!({"metadata": null, "currency": 5, "created": "today"})).await;
        assert_eq!((credits(env, &adam).await, balance(env, id).await), (there, 0));
        // More than was paid is as much as was paid.
        tell(env, "charge.dispute.created", &dispute("du_4", payment, 9999, "needs_response")).await;
        give_back_fails(env, payment).await;
        assert_eq!((credits(env, &adam).await, balance(env, id).await), (there - 1000, 0));
        adds_up(env).await;
    }
}

async fn give_back_fails(env: &TestEnv, payment: PaymentId) {
    let refused = settlement::refund(Unattended::Operator, &env.ctx, payment, None).await;
    assert!(refused.is_err(), "nothing is left of it: {refused:?}");
}

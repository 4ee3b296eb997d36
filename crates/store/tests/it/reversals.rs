//! Money that goes back: refunds and disputes take back what was paid for, once, in whatever order they are told; what
//! is missing is owed, and collected with the next payment.

use domain::billing::Effect;
use domain::catalog::EventType;
use domain::credits::TopUp;
use domain::payments::{Choice, PaymentPurpose, PaymentStatus};
use domain::subscriptions::{RETRIES, SubscriptionStatus};
use domain::{Money, PaymentId, Timestamp, WorkspaceId, days, minutes};
use sea_orm::prelude::Uuid;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use store::auth::Actor;
use store::billing::{self, Chosen, subscriptions};
use store::credits::dto::Use;
use store::credits::verify::verify;
use store::credits::{top_up, view};
use store::db::entity::{self, payment};
use store::payments::provider::Provider;
use store::settlement::provider_webhook::{handle_event, sign};
use store::settlement::simulated_events;
use store::{credits as ledger, settlement};

use crate::billing::{charged, choose, on_trial, pass, row, set_card, subscribe, terms, work};
use crate::support::{ADAM, GRETA, TestEnv, both};

const PAGE: &str = "/w/acme/settings/credits";
const PRICE: Money = Money::from_cents(2900);

/// The provider tells of something, signed.
pub async fn tell(env: &TestEnv, kind: &str, object: &Value) {
    tell_of(env, Timestamp::now().millis() / 1000, kind, object).await;
}

/// It tells of something that happened in that second.
async fn tell_of(env: &TestEnv, second: i64, kind: &str, object: &Value) {
    let (event, now) = (Uuid::new_v4(), Timestamp::now().millis() / 1000);
    let body = json!({"id": format!("evt_{event}"), "type": kind, "created": second, "data": {"object": object}});
    let body = body.to_string();
    let header = sign(&env.ctx.payments().signing_secret(), now, body.as_bytes());
    handle_event(&env.ctx, &header, body.as_bytes())
        .await
        .unwrap();
}

/// A dispute, as Stripe writes one.
pub fn dispute(id: &str, payment: PaymentId, cents: i64, status: &str) -> Value {
    json!({
        "id": id, "object": "dispute", "amount": cents, "currency": "usd", "status": status,
        "metadata": {}, "charge": "ch_1", "payment_intent": {"id": "pi_1", "metadata": {"payment": payment}},
    })
}

fn refund(id: &str, payment: PaymentId, cents: i64, status: &str) -> Value {
    json!({
        "id": id, "object": "refund", "amount": cents, "currency": "usd", "status": status,
        "metadata": {"payment": payment},
    })
}

/// The payments that went through, oldest first.
pub async fn paid(env: &TestEnv, workspace: WorkspaceId) -> Vec<payment::Model> {
    entity::Payment::find()
        .filter(payment::Column::WorkspaceId.eq(workspace))
        .filter(payment::Column::Status.eq(PaymentStatus::Paid))
        .order_by_asc(payment::Column::Id)
        .all(env.ctx.db().read())
        .await
        .unwrap()
}

async fn balance(env: &TestEnv, workspace: WorkspaceId) -> i64 {
    row(env, workspace).await.balance.cents()
}

async fn give_back(env: &TestEnv, payment: PaymentId, cents: Option<i64>) -> i64 {
    let amount = cents.map(Money::from_cents);
    let gone = settlement::refund(&env.ctx, payment, amount).await.unwrap();
    simulated_events::deliver_events(&env.ctx, Timestamp::now())
        .await
        .unwrap();
    gone.cents()
}

async fn buy(env: &TestEnv, actor: &Actor) -> PaymentId {
    let purpose = PaymentPurpose::Credits { credits: 1000 };
    let place = settlement::begin(&env.ctx, actor, &purpose, PRICE, PAGE)
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
    let principal = actor.clone().into();
    let mut tx = env.ctx.db().begin().await.unwrap();
    let wanted = u32::try_from(there - left).unwrap();
    let wanted = Use::new(env.ctx.catalog(), "quick_answer", Some(wanted), None);
    ledger::spend(&mut tx, &principal, &wanted.unwrap(), None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn credits(env: &TestEnv, actor: &Actor) -> i64 {
    let principal = actor.clone().into();
    view::balance(&env.ctx, &principal).await.unwrap().total()
}

async fn adds_up(env: &TestEnv) {
    assert_eq!(verify(env.ctx.db().read()).await.unwrap(), []);
}

async fn told(env: &TestEnv) -> (u64, u64) {
    (
        env.events(EventType::BillingPaymentRefunded).await,
        env.events(EventType::BillingPaymentSucceeded).await,
    )
}

/// Light, paid twice at the same time.
async fn twice(env: &TestEnv, slug: &str) -> Actor {
    let greta = on_trial(env, slug).await;
    let mut places = Vec::new();
    for _ in 0..2 {
        let Chosen::Pay(place) = choose(env, &greta, terms("light", false)).await.unwrap() else {
            panic!("nothing to pay");
        };
        places.push(place);
    }
    for place in places {
        let checkout = place.strip_prefix("/pay/").unwrap();
        simulated_events::choose(&env.ctx, checkout, Choice::Pay)
            .await
            .unwrap();
    }
    assert_eq!(balance(env, greta.workspace()).await, 4900);
    greta
}

both! {
    async fn who_pays_twice_and_gets_one_back_has_paid_one_month(env) {
        for one in 0..2 {
            let greta = twice(env, &format!("twice-{one}")).await;
            let id = greta.workspace();
            let payment = paid(env, id).await[one].id;
            assert_eq!(give_back(env, payment, None).await, 4900);
            assert_eq!(balance(env, id).await, 0);
            let due = row(env, id).await.ends_at;
            work(env, due).await;
            assert_eq!(charged(env, id).await, [4900, 4900, 4900], "the second month is paid again");
            assert_eq!(balance(env, id).await, 0);
            assert!(row(env, id).await.ends_at > due);
        }
        adds_up(env).await;
    }

    async fn a_month_that_was_paid_back_is_owed_and_collected_once(env) {
        let greta = on_trial(env, "fresh").await;
        let id = greta.workspace();
        subscribe(env, &greta, terms("light", false)).await;
        let payment = paid(env, id).await[0].id;
        // In parts, each told by the answer and by the event.
        for (part, owed) in [(Some(1000), 1000), (Some(900), 1900), (None, 4900)] {
            give_back(env, payment, part).await;
            assert_eq!(balance(env, id).await, -owed);
        }
        assert!(settlement::refund(&env.ctx, payment, None).await.is_err(), "nothing is left of it");
        let running = row(env, id).await;
        assert!(running.is_running(Timestamp::now()), "what runs runs on");
        let view = billing::view(&env.ctx, &greta, Some(terms("scale", false))).await.unwrap();
        assert_eq!(view.owed(), Some(Money::from_cents(4900)));
        let preview = view.preview.unwrap();
        assert_eq!((preview.effect, preview.owed.cents(), preview.next.cents()), (Effect::Now, 0, 9900));
        assert_eq!(preview.next_charge.cents(), 9900 + 4900, "what the renewal will charge");
        assert_eq!(view.payments[0].refunded, view.payments[0].amount);
        let mut due = running.ends_at;
        for charges in [vec![4900, 9800], vec![4900, 9800, 4900]] {
            work(env, due).await;
            work(env, due).await;
            assert_eq!(charged(env, id).await, charges);
            assert_eq!(balance(env, id).await, 0);
            due = row(env, id).await.ends_at;
        }
        let invoice = billing::invoice(&env.ctx, &greta, 2).await.unwrap();
        assert_eq!((invoice.what.as_str(), invoice.amount.cents()), ("Light, 1 month, plus $49 previously owed", 9800));
        assert_eq!(billing::invoice(&env.ctx, &greta, 1).await.unwrap().refunded.cents(), 4900);
        assert_eq!(env.events(EventType::BillingPaymentRefunded).await, 3);
    }

    async fn what_is_owed_and_not_paid_ends_in_frost_and_is_paid_to_begin_again(env) {
        let greta = on_trial(env, "fresh").await;
        let id = greta.workspace();
        subscribe(env, &greta, terms("light", false)).await;
        give_back(env, paid(env, id).await[0].id, None).await;
        set_card(env, id, false).await;
        let mut now = row(env, id).await.ends_at;
        work(env, now).await;
        for gap in RETRIES {
            assert_eq!(row(env, id).await.status, SubscriptionStatus::PastDue);
            now = now.after(gap);
            work(env, now).await;
        }
        assert_eq!(row(env, id).await.status, SubscriptionStatus::Frozen);
        assert_eq!(balance(env, id).await, -4900, "declined four times, it is owed once");
        let greta = env.actor(GRETA, "fresh").await;
        let view = billing::view(&env.ctx, &greta, Some(terms("scale", false))).await.unwrap();
        let preview = view.preview.unwrap();
        assert_eq!((preview.today.cents(), preview.owed.cents()), (9900 + 4900, 4900));
        assert_eq!((preview.next.cents(), preview.next_charge.cents()), (9900, 9900));
        subscribe(env, &greta, terms("scale", false)).await;
        assert_eq!(charged(env, id).await, [4900, 14800]);
        assert_eq!((balance(env, id).await, row(env, id).await.status), (0, SubscriptionStatus::Active));
    }

    async fn what_is_owed_is_not_collected_twice_by_two_pages(env) {
        let greta = on_trial(env, "fresh").await;
        let id = greta.workspace();
        subscribe(env, &greta, terms("light", false)).await;
        give_back(env, paid(env, id).await[0].id, None).await;
        billing::cancel(&env.ctx, &greta, Timestamp::now()).await.unwrap();
        pass(env, id, days(60)).await;
        work(env, Timestamp::now()).await;
        let greta = env.actor(GRETA, "fresh").await;
        let mut places = Vec::new();
        for _ in 0..2 {
            let Chosen::Pay(place) = choose(env, &greta, terms("light", false)).await.unwrap() else { panic!() };
            places.push(place);
        }
        for (place, left) in places.iter().zip([0, 9800]) {
            simulated_events::choose(&env.ctx, place.strip_prefix("/pay/").unwrap(), Choice::Pay).await.unwrap();
            assert_eq!(balance(env, id).await, left);
        }
    }

    async fn a_refund_meets_a_renewal_that_is_under_way(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        // And a smaller plan that is to come.
        choose(env, &adam, terms("light", false)).await.unwrap();
        let due = row(env, id).await.ends_at;
        subscriptions::process_due(&env.ctx, due).await.unwrap();
        let last = paid(env, id).await.last().unwrap().id;
        // The demo's payments are not in the provider's books: it tells of a refund on its own pages.
        tell(env, "charge.refunded", &json!({"amount_refunded": 9900, "metadata": {"payment": last}})).await;
        assert_eq!(balance(env, id).await, -9900);
        settlement::reconcile_pending(&env.ctx, due).await.unwrap();
        let renewed = row(env, id).await;
        assert_eq!((renewed.plan.as_deref(), renewed.balance.cents()), (Some("light"), -9900));
        assert_eq!(charged(env, id).await.last(), Some(&4900), "as it was written down");
        work(env, renewed.ends_at).await;
        assert_eq!(charged(env, id).await.last(), Some(&14800));
        assert_eq!(balance(env, id).await, 0);
    }

    async fn a_change_that_was_paid_back_is_owed(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        choose(env, &adam, terms("max", false)).await.unwrap();
        let change = paid(env, id).await.pop().unwrap();
        give_back(env, change.id, None).await;
        assert_eq!(balance(env, id).await, -change.amount.cents());
        let due = row(env, id).await.ends_at;
        work(env, due).await;
        assert_eq!(charged(env, id).await.last(), Some(&(19900 + change.amount.cents())));
    }

    async fn a_dispute_takes_the_money_until_it_is_decided(env) {
        let greta = on_trial(env, "fresh").await;
        let id = greta.workspace();
        subscribe(env, &greta, terms("light", false)).await;
        let payment = paid(env, id).await[0].id;
        let before = told(env).await;
        let object = |status: &str| dispute("du_1", payment, 4900, status);
        tell(env, "charge.dispute.created", &object("warning_needs_response")).await;
        tell(env, "charge.dispute.updated", &object("warning_under_review")).await;
        assert_eq!(balance(env, id).await, 0, "the bank only asks");
        for _ in 0..2 {
            tell(env, "charge.dispute.created", &object("needs_response")).await;
            tell(env, "charge.dispute.funds_withdrawn", &object("needs_response")).await;
            tell(env, "charge.dispute.updated", &object("under_review")).await;
            tell(env, "charge.dispute.created", &object("warning_needs_response")).await;
            assert_eq!(balance(env, id).await, -4900);
        }
        assert_eq!(told(env).await, (before.0 + 1, before.1));
        let view = billing::view(&env.ctx, &greta, None).await.unwrap();
        assert_eq!((view.payments[0].disputed.cents(), view.payments[0].refunded.cents()), (4900, 0));
        assert!(settlement::refund(&env.ctx, payment, None).await.is_err(), "it is gone already");
        for _ in 0..2 {
            tell(env, "charge.dispute.closed", &object("won")).await;
            tell(env, "charge.dispute.funds_reinstated", &object("won")).await;
            // Late.
            tell(env, "charge.dispute.created", &object("needs_response")).await;
            tell(env, "charge.dispute.funds_withdrawn", &object("needs_response")).await;
            assert_eq!(balance(env, id).await, 0);
        }
        assert_eq!(told(env).await, (before.0 + 1, before.1 + 1));
        // Another one, which is lost, and is told of in the wrong order.
        let object = |status: &str| dispute("du_2", payment, 4900, status);
        tell(env, "charge.dispute.closed", &object("lost")).await;
        tell(env, "charge.dispute.created", &object("needs_response")).await;
        assert_eq!(balance(env, id).await, -4900);
        work(env, row(env, id).await.ends_at).await;
        assert_eq!((charged(env, id).await, balance(env, id).await), (vec![4900, 9800], 0));
        adds_up(env).await;
    }

    async fn a_dispute_that_was_collected_and_then_decided_pays_the_next_month(env) {
        let greta = on_trial(env, "fresh").await;
        let id = greta.workspace();
        subscribe(env, &greta, terms("light", false)).await;
        let payment = paid(env, id).await[0].id;
        tell(env, "charge.dispute.created", &dispute("du_1", payment, 4900, "needs_response")).await;
        work(env, row(env, id).await.ends_at).await;
        assert_eq!(charged(env, id).await, [4900, 9800]);
        tell(env, "charge.dispute.closed", &dispute("du_1", payment, 4900, "won")).await;
        assert_eq!(balance(env, id).await, 4900);
        work(env, row(env, id).await.ends_at).await;
        assert_eq!(charged(env, id).await, [4900, 9800], "the third month is paid");
        assert_eq!(balance(env, id).await, 0);
    }

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

    async fn what_went_back_before_it_was_told_paid_is_taken_back_then(env) {
        let greta = on_trial(env, "fresh").await;
        let id = greta.workspace();
        let Chosen::Pay(place) = choose(env, &greta, terms("light", false)).await.unwrap() else { panic!() };
        let checkout = place.strip_prefix("/pay/").unwrap();
        let found = entity::Payment::find().filter(payment::Column::CheckoutId.eq(checkout));
        let payment = found.one(env.ctx.db().read()).await.unwrap().unwrap().id;
        tell(env, "charge.dispute.created", &dispute("du_1", payment, 4900, "needs_response")).await;
        tell(env, "charge.refunded", &json!({"amount_refunded": 1000, "metadata": {"payment": payment}})).await;
        assert_eq!(balance(env, id).await, 0, "nothing was given for it yet");
        simulated_events::choose(&env.ctx, checkout, Choice::Pay).await.unwrap();
        assert_eq!((balance(env, id).await, row(env, id).await.status), (-4900, SubscriptionStatus::Active));
        tell(env, "charge.dispute.closed", &dispute("du_1", payment, 4900, "won")).await;
        assert_eq!(balance(env, id).await, -1000, "what was refunded stays so");
    }

    async fn a_top_up_that_is_disputed_is_not_charged_again(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let wanted = TopUp { credits: 1000, limit: Money::from_cents(100_000) };
        top_up::set(&env.ctx, &adam, Some(wanted), Timestamp::now()).await.unwrap();
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

    async fn told_a_hundred_times_at_once_it_is_taken_back_once(env) {
        let greta = on_trial(env, "fresh").await;
        let id = greta.workspace();
        subscribe(env, &greta, terms("light", false)).await;
        let payment = paid(env, id).await[0].id;
        let kinds = [
            ("charge.dispute.created", "needs_response"),
            ("charge.dispute.funds_withdrawn", "needs_response"),
            ("charge.dispute.closed", "lost"),
        ];
        let secret = env.ctx.payments().signing_secret();
        let all = (0..60).map(|n: usize| {
            let (ctx, secret) = (env.ctx.clone(), secret.clone());
            let (kind, status) = kinds[n % 3];
            let now = Timestamp::now().millis() / 1000;
            let body = json!({"id": format!("evt_{}", n / 2), "type": kind, "data": {"object": dispute("du_1", payment, 4900, status)}});
            let body = body.to_string();
            async move {
                let header = sign(&secret, now, body.as_bytes());
                handle_event(&ctx, &header, body.as_bytes()).await.unwrap();
            }
        });
        let running: Vec<_> = all.map(tokio::spawn).collect();
        for task in running { task.await.unwrap(); }
        assert_eq!(balance(env, id).await, -4900);
        assert_eq!(env.events(EventType::BillingPaymentRefunded).await, 1);
    }

    async fn a_workspace_that_is_gone_owes_nothing(env) {
        let greta = on_trial(env, "fresh").await;
        let id = greta.workspace();
        subscribe(env, &greta, terms("light", false)).await;
        let payment = paid(env, id).await[0].id;
        let tx = env.ctx.db().begin().await.unwrap();
        entity::Workspace::delete_by_id(id).exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        tell(env, "charge.dispute.created", &dispute("du_1", payment, 4900, "needs_response")).await;
        assert_eq!(paid(env, id).await[0].disputed.cents(), 4900, "it stays on record");
        assert_eq!(env.events(EventType::BillingPaymentRefunded).await, 0);
    }
}

async fn give_back_fails(env: &TestEnv, payment: PaymentId) {
    let refused = settlement::refund(&env.ctx, payment, None).await;
    assert!(refused.is_err(), "nothing is left of it: {refused:?}");
}

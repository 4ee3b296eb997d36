//! Money that goes back: refunds and disputes take back what was paid for, once, in whatever order they are told; what
//! is missing is owed, and collected with the next payment.

mod disputes;
mod purchases;

use domain::billing::Effect;
use domain::catalog::EventType;
use domain::payments::{Choice, PaymentStatus};
use domain::subscriptions::{RETRIES, SubscriptionStatus};
use domain::{Money, PaymentId, Timestamp, WorkspaceId, days};
use sea_orm::prelude::Uuid;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use store::auth::{Actor, Unattended};
use store::billing::{self, Chosen, subscriptions};
use store::credits::verify::verify;
use store::db::entity::{self, payment};
use store::settlement;
use store::settlement::provider_webhook::{handle_event, sign};
use store::settlement::simulated_events;

use crate::billing::{charged, choose, on_trial, pass, row, set_card, subscribe, terms, work};
use crate::support::{ADAM, GRETA, TestEnv, both};

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
    let gone = settlement::refund(Unattended::Operator, &env.ctx, payment, amount)
        .await
        .unwrap();
    simulated_events::deliver_events(&env.ctx, Timestamp::now())
        .await
        .unwrap();
    gone.cents()
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
        assert!(settlement::refund(Unattended::Operator, &env.ctx, payment, None).await.is_err(), "nothing is left of it");
        let running = row(env, id).await;
        assert!(running.is_running(Timestamp::now()), "what runs runs on");
        let view = billing::view(&env.ctx, &greta.permit_read().unwrap(), Some(terms("scale", false))).await.unwrap();
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
        let invoice = billing::invoice(&env.ctx, &greta.permit_read().unwrap(), 2).await.unwrap();
        assert_eq!((invoice.what.as_str(), invoice.amount.cents()), ("Light, 1 month, plus $49 previously owed", 9800));
        assert_eq!(billing::invoice(&env.ctx, &greta.permit_read().unwrap(), 1).await.unwrap().refunded.cents(), 4900);
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
        let view = billing::view(&env.ctx, &greta.permit_read().unwrap(), Some(terms("scale", false))).await.unwrap();
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
        billing::cancel(&env.ctx, &greta.permit().unwrap(), Timestamp::now()).await.unwrap();
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
}

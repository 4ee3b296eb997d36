//! Disputes of payments for subscriptions: the money is gone until the bank decides, however often and late it is told.

use domain::Timestamp;
use domain::catalog::EventType;
use domain::payments::Choice;
use domain::subscriptions::SubscriptionStatus;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;
use store::auth::Unattended;
use store::billing::{self, Chosen};
use store::db::entity::{self, payment};
use store::settlement;
use store::settlement::provider_webhook::{handle_event, sign};
use store::settlement::simulated_events;

use super::{adds_up, balance, dispute, paid, tell, told};
use crate::billing::{charged, choose, on_trial, row, subscribe, terms, work};
use crate::support::both;

both! {
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
        let view = billing::view(&env.ctx, &greta.permit_read().unwrap(), None).await.unwrap();
        assert_eq!((view.payments[0].disputed.cents(), view.payments[0].refunded.cents()), (4900, 0));
        assert!(settlement::refund(Unattended::Operator, &env.ctx, payment, None).await.is_err(), "it is gone already");
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

//! Changes of a plan: what a better one costs, when a smaller one begins, and what a cancelled one still gives.

use domain::billing::Effect;
use domain::catalog::EventType;
use domain::payments::{PaymentPurpose, PaymentStatus};
use domain::subscriptions::SubscriptionStatus;
use domain::{AppError, Money, Timestamp, days, minutes};
use store::billing::{self, Chosen, subscriptions};
use store::{payments, settlement};
use tokio::task::JoinSet;

use super::{
    PAGE, charged, choose, pass, plan_credits, row, set, set_card, subscribe, terms, work,
};
use crate::support::{ADAM, both};

both! {
    async fn a_better_plan_counts_at_once_for_the_difference(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let before = row(env, id).await;
        let earlier = charged(env, id).await.len();
        // Twenty of thirty days are left: two thirds of $100, and of 3,000 credits.
        let view = billing::view(&env.ctx, &adam.permit_read().unwrap(), Some(terms("max", false))).await.unwrap();
        let preview = view.preview.unwrap();
        assert_eq!(preview.effect, Effect::Now);
        assert!((6660..=6667).contains(&preview.today.cents()), "{}", preview.today);
        assert_eq!((preview.next.cents(), preview.next_at), (19900, before.ends_at));
        let done = choose(env, &adam, terms("max", false)).await.unwrap();
        assert!(matches!(&done, Chosen::Done(done) if done.message == "You're now on Max"), "{done:?}");
        let paid = charged(env, id).await;
        assert_eq!(paid.len(), earlier + 1);
        assert!((6660..=6667).contains(paid.last().unwrap()));
        let after = row(env, id).await;
        assert_eq!((after.plan.as_deref(), after.ends_at, after.payment_id), (Some("max"), before.ends_at, None));
        let credits = plan_credits(env, id).await;
        assert!((1990..=2001).contains(&credits), "{credits}");
        // Told of it again, nothing more happens.
        work(env, Timestamp::now().after(minutes(5))).await;
        assert_eq!(charged(env, id).await.len(), earlier + 1);
        assert_eq!(plan_credits(env, id).await, credits);
    }

    async fn no_more_is_charged_than_was_agreed_to(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let (before, earlier) = (row(env, id).await, charged(env, id).await);
        let agreed = Money::from_cents(5000);
        let chosen = billing::choose(&env.ctx, &adam.permit().unwrap(), terms("max", false), agreed, PAGE, Timestamp::now()).await;
        assert!(matches!(chosen, Err(AppError::Conflict(_))));
        assert_eq!((row(env, id).await, charged(env, id).await), (before, earlier));
    }

    async fn a_declined_card_changes_nothing_and_the_next_try_works(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let before = row(env, id).await;
        set_card(env, id, false).await;
        let failed = env.events(EventType::BillingPaymentFailed).await;
        let refused = choose(env, &adam, terms("max", false)).await.unwrap_err();
        assert!(refused.to_string().contains("declined"), "{refused}");
        assert_eq!(row(env, id).await, before);
        assert_eq!(env.events(EventType::BillingPaymentFailed).await, failed + 1);
        set_card(env, id, true).await;
        choose(env, &adam, terms("scale", true)).await.unwrap();
        assert!(row(env, id).await.cdr_mode);
    }

    async fn one_change_at_a_time_is_paid(env) {
        let adam = env.actor(ADAM, "acme").await;
        let mut under_way = row(env, adam.workspace()).await;
        under_way.payment_id = Some(domain::PaymentId::new());
        set(env, under_way).await;
        let refused = choose(env, &adam, terms("max", false)).await.unwrap_err();
        assert!(matches!(refused, AppError::Conflict(_)));
    }

    async fn ten_at_once_change_the_plan_once(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let earlier = charged(env, id).await.len();
        let mut tries = JoinSet::new();
        for _ in 0..10 {
            let (ctx, adam) = (env.ctx.clone(), adam.clone());
            tries.spawn(async move {
                let agreed = Money::from_cents(10_000);
                billing::choose(&ctx, &adam.permit().unwrap(), terms("max", false), agreed, PAGE, Timestamp::now()).await
            });
        }
        tries.join_all().await;
        work(env, Timestamp::now().after(minutes(5))).await;
        assert_eq!(charged(env, id).await.len(), earlier + 1);
        assert_eq!(row(env, id).await.plan.as_deref(), Some("max"));
    }

    async fn a_smaller_plan_waits_for_the_month_to_end_and_can_be_taken_back(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let earlier = charged(env, id).await.len();
        choose(env, &adam, terms("light", false)).await.unwrap();
        let planned = row(env, id).await;
        assert_eq!((planned.plan.as_deref(), planned.next_plan.as_deref()), (Some("scale"), Some("light")));
        choose(env, &adam, terms("scale", false)).await.unwrap();
        assert_eq!(row(env, id).await.next_plan, None);
        choose(env, &adam, terms("light", false)).await.unwrap();
        assert_eq!(charged(env, id).await.len(), earlier, "nothing is paid for less");
        pass(env, id, days(20)).await;
        work(env, Timestamp::now()).await;
        let renewed = row(env, id).await;
        assert_eq!((renewed.plan.as_deref(), renewed.next_plan.as_deref()), (Some("light"), None));
        assert_eq!(charged(env, id).await.split_off(earlier), [4900]);
        assert_eq!(plan_credits(env, id).await, 500);
    }

    async fn cancelled_it_works_to_the_end_and_can_be_resumed(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let now = Timestamp::now();
        billing::cancel(&env.ctx, &adam.permit().unwrap(), now).await.unwrap();
        billing::cancel(&env.ctx, &adam.permit().unwrap(), now).await.unwrap();
        assert!(!env.actor(ADAM, "acme").await.is_frozen());
        billing::resume(&env.ctx, &adam.permit().unwrap(), now).await.unwrap();
        assert_eq!(row(env, id).await.freezes_at, None);
        billing::cancel(&env.ctx, &adam.permit().unwrap(), now).await.unwrap();
        let earlier = charged(env, id).await;
        pass(env, id, days(20)).await;
        assert!(env.actor(ADAM, "acme").await.is_frozen(), "before any worker comes");
        work(env, Timestamp::now()).await;
        assert_eq!(row(env, id).await.status, SubscriptionStatus::Frozen);
        assert_eq!(charged(env, id).await, earlier, "nothing is charged for what was cancelled");
        assert!(matches!(async { billing::resume(&env.ctx, &adam.permit()?, Timestamp::now()).await }.await, Err(AppError::Conflict(_))));
        subscribe(env, &adam, terms("scale", false)).await;
        assert!(!env.actor(ADAM, "acme").await.is_frozen());
    }

    async fn a_change_that_the_bank_confirms_too_late_pays_the_next_month(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let mut waiting = row(env, id).await;
        let purpose = PaymentPurpose::Change { terms: terms("max", false), ends_at: waiting.ends_at, what: "Max".to_owned() };
        let new = payments::NewPayment::by(&adam, &purpose, Money::from_cents(6000));
        let mut tx = env.ctx.db().begin().await.unwrap();
        let payment = payments::insert_payment(&tx, &new).await.unwrap();
        waiting.payment_id = Some(payment);
        subscriptions::save(&tx, waiting).await.unwrap();
        tx.commit().await.unwrap();
        pass(env, id, days(20)).await;
        let now = Timestamp::now();
        tx = env.ctx.db().begin().await.unwrap();
        settlement::settle(&mut tx, env.ctx.catalog(), payment, PaymentStatus::Paid.into(), now).await.unwrap();
        tx.commit().await.unwrap();
        let kept = row(env, id).await;
        assert_eq!((kept.balance.cents(), kept.payment_id, kept.plan.as_deref()), (6000, None, Some("scale")));
        work(env, now).await;
        let renewed = row(env, id).await;
        assert_eq!((renewed.begins_at, renewed.balance.cents()), (kept.ends_at, 0));
        assert!(charged(env, id).await.contains(&3900), "the month, less what was paid");
    }
}

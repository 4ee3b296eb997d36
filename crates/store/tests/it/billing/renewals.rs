//! Renewals: each month is charged once, by the calendar, and a declined card is tried again.

use std::time::Duration;

use domain::payments::Choice;
use domain::subscriptions::{RETRIES, SubscriptionStatus};
use domain::{Timestamp, days, hours, minutes};
use store::billing::{Chosen, subscriptions};
use store::settlement;
use store::settlement::simulated_events;

use super::{
    charged, choose, on_trial, pass, plan_credits, row, set, set_card, subscribe, terms, work,
};
use crate::support::{ADAM, both};

fn day(text: &str) -> Timestamp {
    Timestamp::of_day(text).unwrap().after(hours(15))
}

both! {
    async fn months_end_where_they_began(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let mut first = row(env, id).await;
        (first.billing_cycle_anchor, first.months) = (day("2027-01-31"), 0);
        (first.begins_at, first.ends_at) = (day("2026-12-31"), day("2027-01-31"));
        first.due_at = Some(first.ends_at);
        set(env, first).await;
        for end in [
            "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30", "2027-07-31", "2027-08-31", "2027-09-30",
            "2027-10-31", "2027-11-30", "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31",
        ] {
            let due = row(env, id).await.ends_at;
            let charges = charged(env, id).await.len();
            work(env, due.before(Duration::from_millis(1))).await;
            assert_eq!(charged(env, id).await.len(), charges, "not before {}", due.date());
            work(env, due).await;
            assert_eq!(row(env, id).await.ends_at, day(end));
            assert_eq!(charged(env, id).await.len(), charges + 1);
        }
    }

    async fn a_renewal_that_is_declined_is_tried_again_and_ends_in_frost(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        set_card(env, id, false).await;
        pass(env, id, days(20)).await;
        let mut now = Timestamp::now();
        work(env, now).await;
        for gap in RETRIES {
            let waiting = row(env, id).await;
            assert_eq!(waiting.status, SubscriptionStatus::PastDue);
            assert!(!waiting.is_frozen(now));
            assert_eq!(waiting.due_at, Some(now.after(gap)));
            work(env, now.after(gap).before(minutes(1))).await;
            assert_eq!(row(env, id).await.declines, waiting.declines, "not too early");
            now = now.after(gap);
            work(env, now).await;
        }
        let frozen = row(env, id).await;
        assert_eq!((frozen.status, frozen.freezes_at), (SubscriptionStatus::Frozen, Some(now)));
        work(env, now.after(days(30))).await;
        assert_eq!(row(env, id).await, frozen);
    }

    async fn a_card_that_works_again_makes_good_what_was_declined(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        set_card(env, id, false).await;
        pass(env, id, days(20)).await;
        let now = Timestamp::now();
        work(env, now).await;
        let due = row(env, id).await;
        set_card(env, id, true).await;
        work(env, now.after(days(1))).await;
        let paid = row(env, id).await;
        assert_eq!((paid.status, paid.declines), (SubscriptionStatus::Active, 0));
        assert_eq!(paid.begins_at, due.ends_at, "the month goes on from where it was due");
    }

    async fn a_clock_that_jumps_a_year_charges_one_month(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let earlier = charged(env, id).await.len();
        let now = Timestamp::now().after(days(365));
        work(env, now).await;
        work(env, now).await;
        let row = row(env, id).await;
        assert_eq!((row.begins_at, row.ends_at), (now, now.months_after(1)));
        assert_eq!(charged(env, id).await.len(), earlier + 1);
    }

    async fn a_renewal_is_charged_once_whatever_stops_between(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let earlier = charged(env, id).await.len();
        pass(env, id, days(20)).await;
        let now = Timestamp::now();
        // Written down, and the program stops; it comes back and looks twice at the same time.
        subscriptions::process_due(&env.ctx, now).await.unwrap();
        subscriptions::process_due(&env.ctx, now).await.unwrap();
        let (one, two) = tokio::join!(
            settlement::reconcile_pending(&env.ctx, now),
            settlement::reconcile_pending(&env.ctx, now),
        );
        one.and(two).unwrap();
        // The events of it come late, and the provider is asked again.
        simulated_events::deliver_events(&env.ctx, now).await.unwrap();
        work(env, now.after(days(1))).await;
        assert_eq!(charged(env, id).await.len(), earlier + 1);
    }

    async fn what_is_paid_twice_pays_the_next_months(env) {
        let greta = on_trial(env, "fresh").await;
        let id = greta.workspace();
        let Chosen::Pay(one) = choose(env, &greta, terms("light", false)).await.unwrap() else { panic!() };
        let Chosen::Pay(two) = choose(env, &greta, terms("max", false)).await.unwrap() else { panic!() };
        for place in [&one, &two] {
            simulated_events::choose(&env.ctx, place.strip_prefix("/pay/").unwrap(), Choice::Pay).await.unwrap();
        }
        let first = row(env, id).await;
        assert_eq!((first.plan.as_deref(), first.balance.cents()), (Some("light"), 19900));
        assert_eq!(first.ends_at, first.billing_cycle_anchor.months_after(1));
        // Four months of Light for what is left of it, and the fifth is charged but for three dollars.
        for month in 1..=5 {
            let due = row(env, id).await.ends_at;
            work(env, due).await;
            let after = row(env, id).await;
            assert_eq!(after.begins_at, due, "month {month}");
            assert_eq!(after.balance.cents(), [15000, 10100, 5200, 300, 0][month - 1]);
            assert_eq!(plan_credits(env, id).await, 500);
        }
        let mut paid = charged(env, id).await;
        paid.sort_unstable();
        assert_eq!(paid, [4600, 4900, 19900]);
    }

    async fn a_renewal_is_not_charged_when_somebody_has_paid_by_hand(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let earlier = charged(env, id).await.len();
        pass(env, id, days(20)).await;
        // Written down, but the provider cannot be reached for a while.
        subscriptions::process_due(&env.ctx, Timestamp::now()).await.unwrap();
        subscribe(env, &adam, terms("scale", false)).await;
        work(env, Timestamp::now().after(minutes(1))).await;
        assert_eq!(charged(env, id).await.len(), earlier + 1);
    }
}

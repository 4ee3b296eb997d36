//! Subscriptions: trials, plans and their changes, renewals that are paid or not, by any calendar; and what a workspace
//! that is frozen can do.

use std::time::Duration;

use domain::api_keys::NewKey;
use domain::billing::{DetailsForm, Effect};
use domain::catalog::{EventType, Mode, Scope};
use domain::credits::GrantKind;
use domain::payments::{Choice, PaymentPurpose, PaymentStatus};
use domain::subscriptions::{RETRIES, SubscriptionStatus, Terms};
use domain::workspace::NewWorkspaceForm;
use domain::{
    AppError, Money, Name, Permission, Role, Secret, Slug, Timestamp, WorkspaceId, days, hours,
    minutes,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
};
use store::auth::sessions::{Accepting, accept_invitation};
use store::auth::{Actor, Principal};
use store::billing::{self, Chosen, subscriptions};
use store::db::entity::{self, credit_grant, payment, subscription};
use store::members::invitations;
use store::passwords::Passwords;
use store::payments::{self, simulated};
use store::rate_limit::auth::AuthLimits;
use store::settlement::simulated_events;
use store::{api_keys as keys, settlement, workspace as workspaces};
use tokio::task::JoinSet;

use crate::support::{ADAM, CLEO, GRETA, MIA, OLIVIA, TestEnv, both, check_key, info, token_in};

const PAGE: &str = "/w/acme/settings/billing";

pub fn terms(plan: &str, cdr_mode: bool) -> Terms {
    Terms {
        plan: plan.to_owned(),
        cdr_mode,
    }
}

pub async fn row(env: &TestEnv, workspace: WorkspaceId) -> subscription::Model {
    entity::Subscription::find_by_id(workspace)
        .one(env.ctx.db().read())
        .await
        .unwrap()
        .unwrap()
}

async fn set(env: &TestEnv, row: subscription::Model) {
    let tx = env.ctx.db().begin().await.unwrap();
    row.into_active_model()
        .reset_all()
        .update(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Lets time pass for a subscription, by moving everything in it back.
pub async fn pass(env: &TestEnv, workspace: WorkspaceId, time: Duration) {
    let mut row = row(env, workspace).await;
    row.billing_cycle_anchor = row.billing_cycle_anchor.before(time);
    row.begins_at = row.begins_at.before(time);
    row.ends_at = row.ends_at.before(time);
    row.freezes_at = row.freezes_at.map(|at| at.before(time));
    row.due_at = row.due_at.map(|at| at.before(time));
    set(env, row).await;
}

/// What the worker does by `now`.
pub async fn work(env: &TestEnv, now: Timestamp) {
    subscriptions::process_due(&env.ctx, now).await.unwrap();
    settlement::reconcile_pending(&env.ctx, now).await.unwrap();
    simulated_events::deliver_events(&env.ctx, now)
        .await
        .unwrap();
}

/// A new workspace of Greta's, on trial.
pub async fn on_trial(env: &TestEnv, slug: &str) -> Actor {
    let greta = env.person(GRETA).await;
    let form = NewWorkspaceForm {
        name: "Fresh".to_owned(),
        slug: slug.to_owned(),
    };
    let slug: Slug = workspaces::create(&env.ctx, &greta, &form).await.unwrap();
    env.actor(GRETA, slug.as_str()).await
}

pub async fn choose(env: &TestEnv, actor: &Actor, terms: Terms) -> Result<Chosen, AppError> {
    let view = billing::view(&env.ctx, actor, Some(terms.clone()))
        .await
        .unwrap();
    let agreed = view
        .preview
        .map_or(Money::from_cents(0), |preview| preview.today);
    billing::choose(&env.ctx, actor, terms, agreed, PAGE, Timestamp::now()).await
}

/// Chooses a plan where none is paid, and pays on the provider's page.
pub async fn subscribe(env: &TestEnv, actor: &Actor, terms: Terms) {
    let Chosen::Pay(place) = choose(env, actor, terms).await.unwrap() else {
        panic!("nothing to pay");
    };
    let checkout = place.strip_prefix("/pay/").unwrap();
    simulated_events::choose(&env.ctx, checkout, Choice::Pay)
        .await
        .unwrap();
}

pub async fn set_card(env: &TestEnv, workspace: WorkspaceId, works: bool) {
    let card = entity::SimulatedCard::find_by_id(workspace.to_string())
        .one(env.ctx.db().read())
        .await
        .unwrap()
        .unwrap();
    simulated::set_card(env.ctx.db(), &card.token, works)
        .await
        .unwrap();
}

/// What was charged for a workspace, oldest first, in cents.
pub async fn charged(env: &TestEnv, workspace: WorkspaceId) -> Vec<i64> {
    entity::Payment::find()
        .filter(payment::Column::WorkspaceId.eq(workspace))
        .filter(payment::Column::Status.eq(PaymentStatus::Paid))
        .order_by_asc(payment::Column::FinishedAt)
        .order_by_asc(payment::Column::Id)
        .all(env.ctx.db().read())
        .await
        .unwrap()
        .into_iter()
        .map(|payment| payment.amount.cents())
        .collect()
}

/// What the plan gave for the period that is under way.
async fn plan_credits(env: &TestEnv, workspace: WorkspaceId) -> i64 {
    let until = row(env, workspace).await.ends_at;
    entity::CreditGrant::find()
        .filter(credit_grant::Column::WorkspaceId.eq(workspace))
        .filter(credit_grant::Column::Mode.eq(Mode::Live))
        .filter(credit_grant::Column::Kind.eq(GrantKind::Plan))
        .filter(credit_grant::Column::ExpiresAt.eq(until))
        .all(env.ctx.db().read())
        .await
        .unwrap()
        .iter()
        .map(|grant| grant.amount)
        .sum()
}

fn day(text: &str) -> Timestamp {
    Timestamp::of_day(text).unwrap().after(hours(15))
}

both! {
    async fn a_trial_is_reminded_of_then_frozen_and_paying_thaws_it(env) {
        let greta = on_trial(env, "fresh").await;
        let id = greta.workspace();
        assert_eq!(row(env, id).await.status, SubscriptionStatus::Trial);
        for (time, reminders, ended) in [(days(3), 0, 0), (days(1), 1, 0), (hours(12), 1, 0), (days(2), 2, 0), (hours(13), 2, 1)] {
            pass(env, id, time).await;
            for _ in 0..2 {
                work(env, Timestamp::now()).await;
            }
            let told = (
                env.events(EventType::BillingTrialEnding).await,
                env.events(EventType::BillingTrialEnded).await,
            );
            assert_eq!(told, (reminders, ended), "{time:?}");
        }
        let frozen = env.actor(GRETA, "fresh").await;
        assert!(frozen.is_frozen());
        assert_eq!(frozen.require(Permission::WriteContacts), Err(AppError::Frozen));
        assert_eq!(frozen.require(Permission::EditWorkspace), Err(AppError::Frozen));
        assert_eq!(frozen.require(Permission::ReadContacts), Ok(()));
        assert_eq!(frozen.require_read(Permission::ManageApiKeys), Ok(()));
        subscribe(env, &frozen, terms("light", false)).await;
        let thawed = env.actor(GRETA, "fresh").await;
        assert_eq!(thawed.require(Permission::WriteContacts), Ok(()));
        assert_eq!(charged(env, id).await, [4900]);
        assert_eq!(plan_credits(env, id).await, 500);
        let row = row(env, id).await;
        assert_eq!((row.status, row.freezes_at), (SubscriptionStatus::Active, None));
        assert_eq!(row.ends_at, row.billing_cycle_anchor.months_after(1));
    }

    async fn a_workspace_is_frozen_at_the_moment_and_not_when_the_worker_comes(env) {
        let greta = on_trial(env, "fresh").await;
        assert!(!greta.is_frozen());
        pass(env, greta.workspace(), days(7)).await;
        let frozen = env.actor(GRETA, "fresh").await;
        assert!(frozen.is_frozen());
        let view = billing::view(&env.ctx, &frozen, None).await.unwrap();
        assert_eq!(view.status, SubscriptionStatus::Frozen);
    }

    async fn what_is_left_of_a_trial_is_added_to_the_first_month(env) {
        let greta = on_trial(env, "fresh").await;
        let id = greta.workspace();
        pass(env, id, days(2)).await;
        let trial_ends = row(env, id).await.ends_at;
        let view = billing::view(&env.ctx, &greta, Some(terms("max", true))).await.unwrap();
        let preview = view.preview.unwrap();
        assert_eq!((preview.effect, preview.today.to_string().as_str(), preview.days_added), (Effect::Begin, "$498", 4));
        subscribe(env, &greta, terms("max", true)).await;
        let row = row(env, id).await;
        assert_eq!(row.ends_at, trial_ends.months_after(1));
        assert_eq!(row.ends_at, preview.next_at);
        assert_eq!((row.plan.as_deref(), row.cdr_mode), (Some("max"), true));
        assert_eq!(plan_credits(env, id).await, 5000);
        assert_eq!(env.events(EventType::BillingCdrModeChanged).await, 1);
    }

    async fn a_better_plan_counts_at_once_for_the_difference(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let before = row(env, id).await;
        let earlier = charged(env, id).await.len();
        // Twenty of thirty days are left: two thirds of $100, and of 3,000 credits.
        let view = billing::view(&env.ctx, &adam, Some(terms("max", false))).await.unwrap();
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
        let chosen = billing::choose(&env.ctx, &adam, terms("max", false), agreed, PAGE, Timestamp::now()).await;
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
                billing::choose(&ctx, &adam, terms("max", false), agreed, PAGE, Timestamp::now()).await
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
        billing::cancel(&env.ctx, &adam, now).await.unwrap();
        billing::cancel(&env.ctx, &adam, now).await.unwrap();
        assert!(!env.actor(ADAM, "acme").await.is_frozen());
        billing::resume(&env.ctx, &adam, now).await.unwrap();
        assert_eq!(row(env, id).await.freezes_at, None);
        billing::cancel(&env.ctx, &adam, now).await.unwrap();
        let earlier = charged(env, id).await;
        pass(env, id, days(20)).await;
        assert!(env.actor(ADAM, "acme").await.is_frozen(), "before any worker comes");
        work(env, Timestamp::now()).await;
        assert_eq!(row(env, id).await.status, SubscriptionStatus::Frozen);
        assert_eq!(charged(env, id).await, earlier, "nothing is charged for what was cancelled");
        assert!(matches!(billing::resume(&env.ctx, &adam, Timestamp::now()).await, Err(AppError::Conflict(_))));
        subscribe(env, &adam, terms("scale", false)).await;
        assert!(!env.actor(ADAM, "acme").await.is_frozen());
    }

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

    async fn nobody_else_sees_or_changes_billing(env) {
        for email in [MIA, CLEO] {
            let actor = env.actor(email, "acme").await;
            let now = Timestamp::now();
            let forbidden = |error: AppError| matches!(error, AppError::Forbidden { .. });
            assert!(forbidden(billing::view(&env.ctx, &actor, None).await.unwrap_err()));
            assert!(forbidden(billing::cancel(&env.ctx, &actor, now).await.unwrap_err()));
            assert!(forbidden(billing::resume(&env.ctx, &actor, now).await.unwrap_err()));
            assert!(forbidden(billing::manage(&env.ctx, &actor, PAGE).await.unwrap_err()));
            let chosen = billing::choose(&env.ctx, &actor, terms("max", false), Money::from_cents(100_000), PAGE, now).await;
            assert!(forbidden(chosen.unwrap_err()));
        }
    }

    async fn what_is_not_on_offer_cannot_be_chosen(env) {
        let adam = env.actor(ADAM, "acme").await;
        for (wanted, field) in [(terms("giant", false), "plan"), (terms("light", true), "cdr_mode")] {
            let view = billing::view(&env.ctx, &adam, Some(wanted.clone())).await.unwrap();
            assert!(view.preview.is_none() && view.refusal.is_some());
            let AppError::Invalid(errors) = choose(env, &adam, wanted).await.unwrap_err() else { panic!() };
            assert!(errors.get(field).is_some());
        }
    }

    async fn a_preview_names_who_is_beyond_the_seats(env) {
        let ctx = env.house_with(Passwords::quick_for_tests(), AuthLimits::off());
        let adam = env.actor(ADAM, "acme").await;
        let view = billing::view(&ctx, &adam, Some(terms("light", false))).await.unwrap();
        let beyond = view.preview.unwrap().beyond.unwrap();
        assert_eq!((beyond.seats, beyond.used), (3, 7));
        assert_eq!(beyond.names, ["Cleo Chen", "Mia Moreno", "Adam Archer"]);
    }

    async fn nobody_is_invited_or_joins_beyond_the_seats(env) {
        let ctx = env.house_with(Passwords::quick_for_tests(), AuthLimits::off());
        let adam = env.actor(ADAM, "acme").await;
        // Ten seats: four members and three invitations hold seven of them.
        let invited = invitations::invite(&ctx, &adam, "a@x.example, b@x.example, c@x.example, d@x.example", Role::Member)
            .await
            .unwrap();
        assert_eq!(invited.message, "3 of 4 invitations sent");
        assert_eq!(invited.results[3].message, "All 10 seats on Scale are in use. Upgrade your plan or remove someone to invite more people.");
        // On a smaller plan, who was invited in good time finds the seats taken.
        let mut smaller = row(env, adam.workspace()).await;
        smaller.plan = Some("light".to_owned());
        set(env, smaller).await;
        let message = env.letters_to("a@x.example").await.pop().unwrap();
        let token = token_in(&message, "/invite/");
        let joining = Accepting::Newcomer {
            name: "A",
            password: &Secret::from("seven unrelated purple teapots"),
        };
        let refused = accept_invitation(&ctx, &info(), joining, &token).await.unwrap_err();
        assert!(matches!(refused, AppError::LimitReached(_)), "{refused}");
    }

    async fn invoices_are_numbered_without_gaps_and_stay_as_they_were_issued(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let first = billing::invoice(&env.ctx, &adam, 1).await.unwrap();
        assert_eq!((first.what.as_str(), first.amount.cents(), first.buyer.company.as_str()), ("Scale, 1 month", 9900, "Acme"));
        let form = DetailsForm {
            company: "Acme GmbH".to_owned(),
            vat_number: "DE 123456789".to_owned(),
            ..DetailsForm::default()
        };
        let changed = env.events(EventType::BillingDetailsChanged).await;
        for _ in 0..2 {
            billing::set_details(&env.ctx, &adam, &form.parse().unwrap()).await.unwrap();
        }
        assert_eq!(env.events(EventType::BillingDetailsChanged).await, changed + 1, "once, where it changed something");
        // Eight purchases that are paid at the same moment, one of them told twice.
        let purpose = PaymentPurpose::Credits { credits: 1000 };
        let mut settled = JoinSet::new();
        for index in 0..8 {
            let place = settlement::begin(&env.ctx, &adam, &purpose, Money::from_cents(2900), PAGE).await.unwrap();
            let checkout = place.strip_prefix("/pay/").unwrap().to_owned();
            let ctx = env.ctx.clone();
            settled.spawn(async move {
                simulated::decide(ctx.db(), &checkout, Choice::Pay).await.unwrap();
                if index == 0 {
                    simulated_events::deliver_events(&ctx, Timestamp::now()).await.unwrap();
                }
                simulated_events::deliver_events(&ctx, Timestamp::now()).await.unwrap();
            });
        }
        settled.join_all().await;
        simulated_events::deliver_events(&env.ctx, Timestamp::now()).await.unwrap();
        let numbers: Vec<i64> = entity::Invoice::find()
            .filter(entity::invoice::Column::WorkspaceId.eq(id))
            .order_by_asc(entity::invoice::Column::Number)
            .all(env.ctx.db().read())
            .await
            .unwrap()
            .iter()
            .map(|invoice| invoice.number)
            .collect();
        assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
        let last = billing::invoice(&env.ctx, &adam, 10).await.unwrap();
        assert_eq!((last.buyer.company.as_str(), last.buyer.vat_number.as_str()), ("Acme GmbH", "DE123456789"));
        assert_eq!(billing::invoice(&env.ctx, &adam, 1).await.unwrap(), first, "as it was issued");
        assert!(last.number.ends_with("-0010") && last.number.len() == 13, "{}", last.number);
        let view = billing::view(&env.ctx, &adam, None).await.unwrap();
        assert_eq!(view.payments.iter().filter(|row| row.invoice.is_some()).count(), 10);
        // Of no other workspace, and for nobody who may not see billing.
        let greta = env.actor(GRETA, "globex").await;
        assert_eq!(billing::invoice(&env.ctx, &greta, 10).await, Err(AppError::NotFound));
        let mia = env.actor(MIA, "acme").await;
        assert!(matches!(billing::invoice(&env.ctx, &mia, 1).await, Err(AppError::Forbidden { .. })));
        assert!(matches!(billing::set_details(&env.ctx, &mia, &form.parse().unwrap()).await, Err(AppError::Forbidden { .. })));
    }

    async fn keys_of_a_frozen_workspace_read_and_change_nothing(env) {
        let olivia = env.actor(OLIVIA, "acme").await;
        let wish = NewKey {
            name: Name::parse("Importer").unwrap(),
            mode: Mode::Live,
            scopes: Scope::ALL.to_vec(),
            expires_at: None,
        };
        let key = keys::create(&env.ctx, &info(), &olivia, wish, Vec::new(), &Secret::default())
            .await
            .unwrap()
            .secret
            .unwrap();
        let mut frozen = row(env, olivia.workspace()).await;
        frozen.freezes_at = Some(Timestamp::now());
        set(env, frozen).await;
        let holder = check_key(&env.keys, &env.ctx, key.expose(), info().address).await.unwrap();
        for principal in [Principal::from(holder), Principal::from(env.actor(OLIVIA, "acme").await)] {
            assert_eq!(principal.require(Permission::SpendCredits), Err(AppError::Frozen));
            assert_eq!(principal.require(Permission::WriteContacts), Err(AppError::Frozen));
            assert_eq!(principal.require(Permission::SeeCredits), Ok(()));
            assert_eq!(principal.require_read(Permission::ManageWebhooks), Ok(()));
        }
    }
}

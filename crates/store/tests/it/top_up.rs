//! Automatic top-up: bought when few credits are left, no more than the month's limit allows, and by nobody who may not.

use domain::catalog::{Catalog, EventType};
use domain::credits::TopUp;
use domain::payments::{PaymentPurpose, PaymentStatus};
use domain::{AppError, Money, Permission, Timestamp, WorkspaceId, minutes};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
};
use store::auth::{Actor, Principal};
use store::billing::subscriptions;
use store::credits::dto::Use;
use store::credits::verify::verify;
use store::credits::{self, top_up, view};
use store::db::entity::{self, credit_top_up, payment};
use store::payments::{self, simulated};
use store::settlement::simulated_events;
use store::{billing, settlement};

use crate::billing::on_trial;
use crate::support::{ADAM, CLEO, MIA, TestEnv, both};

const PAGE: &str = "/w/acme/settings/credits";
/// Acme's plan gives 2,000: people are warned below 200.
const MARK: i64 = 200;

fn thousand(dollars: i64) -> TopUp {
    TopUp {
        credits: 1000,
        limit: Money::from_cents(dollars * 100),
    }
}

async fn set(env: &TestEnv, actor: &Actor, wanted: TopUp) -> Result<(), AppError> {
    top_up::set(&env.ctx, &actor.permit()?, Some(wanted), Timestamp::now()).await
}

async fn off(env: &TestEnv, actor: &Actor) {
    top_up::set(&env.ctx, &actor.permit().unwrap(), None, Timestamp::now())
        .await
        .unwrap();
}

async fn row(env: &TestEnv, workspace: WorkspaceId) -> Option<credit_top_up::Model> {
    entity::CreditTopUp::find_by_id(workspace)
        .one(env.ctx.db().read())
        .await
        .unwrap()
}

/// What was charged or is to be, by top-up, oldest first.
async fn charges(env: &TestEnv, workspace: WorkspaceId) -> Vec<(Money, PaymentStatus)> {
    let all = entity::Payment::find()
        .filter(payment::Column::WorkspaceId.eq(workspace))
        .order_by_asc(payment::Column::Id)
        .all(env.ctx.db().read())
        .await
        .unwrap();
    let is_top_up = |payment: &payment::Model| {
        matches!(
            payments::purpose(payment).unwrap(),
            PaymentPurpose::TopUp { .. }
        )
    };
    let of = all.iter().filter(|payment| is_top_up(payment));
    of.map(|payment| (payment.amount, payment.status)).collect()
}

async fn balance(env: &TestEnv, principal: &Principal) -> i64 {
    async { view::balance(&env.ctx, &principal.permit()?).await }
        .await
        .unwrap()
        .total()
}

async fn spend(env: &TestEnv, principal: &Principal, credits: i64) -> Result<(), AppError> {
    let times = u32::try_from(credits).unwrap();
    let wanted = Use::new(&Catalog::built_in(), "quick_answer", Some(times), None).unwrap();
    let mut tx = env.ctx.db().begin().await.unwrap();
    credits::spend(&mut tx, &principal.permit()?, &wanted, None).await?;
    tx.commit().await.unwrap();
    Ok(())
}

/// Spends until so many are left.
async fn leave(env: &TestEnv, principal: &Principal, credits: i64) {
    let mut gone = balance(env, principal).await - credits;
    while gone > 0 {
        let part = gone.min(10_000);
        spend(env, principal, part).await.unwrap();
        gone -= part;
    }
}

/// Puts a card in place that works, or that does not.
async fn card(env: &TestEnv, actor: &Actor, works: bool) {
    let page = billing::manage(&env.ctx, &actor.permit().unwrap(), PAGE)
        .await
        .unwrap();
    let token = page.strip_prefix("/pay/card/").unwrap();
    simulated::set_card(env.ctx.db(), token, works)
        .await
        .unwrap();
}

/// What the worker does by `now`.
async fn work(env: &TestEnv, now: Timestamp) {
    subscriptions::process_due(&env.ctx, now).await.unwrap();
    top_up::process_due(&env.ctx, now).await.unwrap();
    settlement::reconcile_pending(&env.ctx, now).await.unwrap();
    simulated_events::deliver_events(&env.ctx, now)
        .await
        .unwrap();
}

async fn acme(env: &TestEnv) -> (Actor, Principal) {
    let adam = env.actor(ADAM, "acme").await;
    card(env, &adam, true).await;
    (adam, env.actor(MIA, "acme").await.into())
}

both! {
    async fn few_credits_left_are_topped_up_once_by_nobody(env) {
        let (adam, mia) = acme(env).await;
        set(env, &adam, thousand(100)).await.unwrap();
        leave(env, &mia, MARK).await;
        work(env, Timestamp::now()).await;
        assert_eq!(charges(env, adam.workspace()).await, [], "not below yet");
        spend(env, &mia, 1).await.unwrap();
        spend(env, &mia, 1).await.unwrap();
        for _ in 0..3 {
            work(env, Timestamp::now()).await;
        }
        let paid = (Money::from_cents(2900), PaymentStatus::Paid);
        assert_eq!(charges(env, adam.workspace()).await, [paid]);
        assert_eq!(balance(env, &mia).await, MARK - 2 + 1000);
        let view = view::page(&env.ctx, &Principal::from(adam.clone()).permit().unwrap(), None, None).await.unwrap().top_up;
        assert_eq!((view.now, view.charged), (Some(thousand(100)), Money::from_cents(2900)));
        assert!(view.possible && !view.paused && !view.under_way);
        let bought = view::entries(&env.ctx, &mia.permit().unwrap(), None, None, 1).await.unwrap().remove(0);
        assert_eq!((bought.amount, bought.actor.kind.as_str()), (1000, "system"));
        assert_eq!(verify(env.ctx.db().read()).await.unwrap(), []);
    }

    async fn the_months_limit_holds(env) {
        let (adam, mia) = acme(env).await;
        set(env, &adam, thousand(60)).await.unwrap();
        for _ in 0..4 {
            leave(env, &mia, 10).await;
            work(env, Timestamp::now()).await;
        }
        assert_eq!(charges(env, adam.workspace()).await.len(), 2, "three would be $87");
        assert_eq!(balance(env, &mia).await, 10);
        // Saving again is no way around it, and a new month is a new limit.
        set(env, &adam, thousand(60)).await.unwrap();
        spend(env, &mia, 1).await.unwrap();
        work(env, Timestamp::now()).await;
        assert_eq!(charges(env, adam.workspace()).await.len(), 2);
        let mut last_month = row(env, adam.workspace()).await.unwrap();
        last_month.month -= 1;
        let tx = env.ctx.db().begin().await.unwrap();
        last_month.into_active_model().reset_all().update(&tx).await.unwrap();
        tx.commit().await.unwrap();
        spend(env, &mia, 1).await.unwrap();
        work(env, Timestamp::now()).await;
        assert_eq!(charges(env, adam.workspace()).await.len(), 3);
    }

    async fn where_one_package_is_not_enough_more_are_bought(env) {
        let (adam, mia) = acme(env).await;
        credits::set_low_balance_threshold(&env.ctx, &adam.permit().unwrap(), Some(2500)).await.unwrap();
        set(env, &adam, thousand(100)).await.unwrap();
        leave(env, &mia, 100).await;
        for _ in 0..5 {
            work(env, Timestamp::now()).await;
        }
        assert_eq!(charges(env, adam.workspace()).await.len(), 3, "to 3,100, which is not below 2,500");
        assert_eq!(balance(env, &mia).await, 3100);
    }

    async fn a_use_that_costs_more_than_there_is_tops_up_too(env) {
        let (adam, mia) = acme(env).await;
        credits::set_low_balance_threshold(&env.ctx, &adam.permit().unwrap(), Some(50)).await.unwrap();
        set(env, &adam, thousand(100)).await.unwrap();
        leave(env, &mia, 60).await;
        let short = spend(env, &mia, 100).await;
        assert_eq!(short, Err(AppError::CreditsShort { needed: 100, balance: 60 }));
        top_up::shortfall(&env.ctx, &mia, 1_061, 60).await.unwrap();
        work(env, Timestamp::now()).await;
        assert_eq!(charges(env, adam.workspace()).await, [], "no package would have been enough");
        top_up::shortfall(&env.ctx, &mia, 100, 60).await.unwrap();
        work(env, Timestamp::now()).await;
        assert_eq!(charges(env, adam.workspace()).await.len(), 1);
        spend(env, &mia, 100).await.unwrap();
    }

    async fn a_declined_card_is_not_tried_again_until_somebody_has_looked(env) {
        let (adam, mia) = acme(env).await;
        set(env, &adam, thousand(100)).await.unwrap();
        card(env, &adam, false).await;
        let failed = env.events(EventType::BillingPaymentFailed).await;
        leave(env, &mia, 100).await;
        work(env, Timestamp::now()).await;
        for _ in 0..3 {
            spend(env, &mia, 1).await.unwrap();
            work(env, Timestamp::now()).await;
        }
        let declined = (Money::from_cents(2900), PaymentStatus::Declined);
        assert_eq!(charges(env, adam.workspace()).await, [declined]);
        assert_eq!(env.events(EventType::BillingPaymentFailed).await, failed + 1);
        let now = row(env, adam.workspace()).await.unwrap();
        assert!(now.paused && now.payment_id.is_none());
        assert_eq!(now.charged, Money::from_cents(0), "what was declined counts for nothing");
        card(env, &adam, true).await;
        set(env, &adam, thousand(100)).await.unwrap();
        spend(env, &mia, 1).await.unwrap();
        work(env, Timestamp::now()).await;
        assert_eq!(charges(env, adam.workspace()).await[1].1, PaymentStatus::Paid);
    }

    async fn turned_off_nothing_is_bought_not_even_what_was_to_be(env) {
        let (adam, mia) = acme(env).await;
        set(env, &adam, thousand(100)).await.unwrap();
        leave(env, &mia, 100).await;
        top_up::process_due(&env.ctx, Timestamp::now()).await.unwrap();
        off(env, &adam).await;
        off(env, &adam).await;
        assert_eq!(env.events(EventType::CreditsTopUpChanged).await, 2, "on and off");
        work(env, Timestamp::now()).await;
        leave(env, &mia, 10).await;
        work(env, Timestamp::now()).await;
        let expired = (Money::from_cents(2900), PaymentStatus::Expired);
        assert_eq!(charges(env, adam.workspace()).await, [expired], "it was not charged yet");
        assert_eq!(balance(env, &mia).await, 10);
    }

    async fn a_crash_between_charge_and_answer_charges_once(env) {
        let (adam, mia) = acme(env).await;
        set(env, &adam, thousand(100)).await.unwrap();
        leave(env, &mia, 100).await;
        top_up::process_due(&env.ctx, Timestamp::now()).await.unwrap();
        let id = row(env, adam.workspace()).await.unwrap().payment_id.unwrap();
        let waits = entity::Payment::find_by_id(id).one(env.ctx.db().read()).await.unwrap().unwrap();
        let purpose = payments::purpose(&waits).unwrap();
        let new = payments::NewPayment {
            workspace: waits.workspace_id,
            buyer: (waits.buyer_id, &waits.buyer_name),
            purpose: &purpose,
            amount: waits.amount,
            look_at: waits.created_at,
        };
        // Charged, and the program stops before it hears of it. Turning it off comes too late.
        env.ctx.payments().charge(env.ctx.provider_context(), &new.order(id)).await.unwrap();
        off(env, &adam).await;
        for _ in 0..3 {
            work(env, Timestamp::now().after(minutes(2))).await;
        }
        assert_eq!(charges(env, adam.workspace()).await.len(), 1);
        assert_eq!(balance(env, &mia).await, 1100);
    }

    async fn only_who_manages_billing_sets_it_and_only_with_a_subscription(env) {
        for email in [MIA, CLEO] {
            let actor = env.actor(email, "acme").await;
            let refused = set(env, &actor, thousand(100)).await.unwrap_err();
            assert_eq!(refused, AppError::Forbidden { permission: Permission::ManageBilling });
        }
        let adam = env.actor(ADAM, "acme").await;
        let names = |error: AppError, field: &str| match error {
            AppError::Invalid(errors) => errors.get(field).is_some(),
            _ => false,
        };
        let small = set(env, &adam, thousand(28)).await.unwrap_err();
        assert!(names(small, "limit"));
        let odd = TopUp { credits: 1234, limit: Money::from_cents(10_000) };
        let odd = set(env, &adam, odd).await.unwrap_err();
        assert!(names(odd, "package"));
        let fresh = on_trial(env, "fresh").await;
        assert!(matches!(set(env, &fresh, thousand(100)).await, Err(AppError::Conflict(_))));
        assert!(row(env, fresh.workspace()).await.is_none());
    }
}

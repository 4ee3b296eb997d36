//! Subscriptions: trials, plans and their changes, renewals that are paid or not, by any calendar; and what a workspace
//! that is frozen can do.

mod changes;
mod limits;
mod renewals;

use std::time::Duration;

use domain::billing::{DetailsForm, Effect};
use domain::catalog::{EventType, Mode};
use domain::credits::GrantKind;
use domain::payments::{Choice, PaymentPurpose, PaymentStatus};
use domain::subscriptions::{SubscriptionStatus, Terms};
use domain::workspace::NewWorkspaceForm;
use domain::{AppError, Money, Permission, Slug, Timestamp, WorkspaceId, days, hours};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
};
use store::auth::Actor;
use store::billing::{self, Chosen, subscriptions};
use store::db::entity::{self, credit_grant, payment, subscription};
use store::payments::simulated;
use store::settlement::simulated_events;
use store::{settlement, workspace as workspaces};
use tokio::task::JoinSet;

use crate::support::{ADAM, CLEO, GRETA, MIA, TestEnv, both};

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
    let view = billing::view(&env.ctx, &actor.permit_read()?, Some(terms.clone()))
        .await
        .unwrap();
    let agreed = view
        .preview
        .map_or(Money::from_cents(0), |preview| preview.today);
    billing::choose(
        &env.ctx,
        &actor.permit()?,
        terms,
        agreed,
        PAGE,
        Timestamp::now(),
    )
    .await
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
        let view = billing::view(&env.ctx, &frozen.permit_read().unwrap(), None).await.unwrap();
        assert_eq!(view.status, SubscriptionStatus::Frozen);
    }

    async fn what_is_left_of_a_trial_is_added_to_the_first_month(env) {
        let greta = on_trial(env, "fresh").await;
        let id = greta.workspace();
        pass(env, id, days(2)).await;
        let trial_ends = row(env, id).await.ends_at;
        let view = billing::view(&env.ctx, &greta.permit_read().unwrap(), Some(terms("max", true))).await.unwrap();
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

    async fn nobody_else_sees_or_changes_billing(env) {
        for email in [MIA, CLEO] {
            let actor = env.actor(email, "acme").await;
            let now = Timestamp::now();
            let forbidden = |error: AppError| matches!(error, AppError::Forbidden { .. });
            assert!(forbidden(async { billing::view(&env.ctx, &actor.permit_read()?, None).await }.await.unwrap_err()));
            assert!(forbidden(async { billing::cancel(&env.ctx, &actor.permit()?, now).await }.await.unwrap_err()));
            assert!(forbidden(async { billing::resume(&env.ctx, &actor.permit()?, now).await }.await.unwrap_err()));
            assert!(forbidden(async { billing::manage(&env.ctx, &actor.permit()?, PAGE).await }.await.unwrap_err()));
            let chosen = async { billing::choose(&env.ctx, &actor.permit()?, terms("max", false), Money::from_cents(100_000), PAGE, now).await }.await;
            assert!(forbidden(chosen.unwrap_err()));
        }
    }

    async fn what_is_not_on_offer_cannot_be_chosen(env) {
        let adam = env.actor(ADAM, "acme").await;
        for (wanted, field) in [(terms("giant", false), "plan"), (terms("light", true), "cdr_mode")] {
            let view = billing::view(&env.ctx, &adam.permit_read().unwrap(), Some(wanted.clone())).await.unwrap();
            assert!(view.preview.is_none() && view.refusal.is_some());
            let AppError::Invalid(errors) = choose(env, &adam, wanted).await.unwrap_err() else { panic!() };
            assert!(errors.get(field).is_some());
        }
    }

    async fn invoices_are_numbered_without_gaps_and_stay_as_they_were_issued(env) {
        let adam = env.actor(ADAM, "acme").await;
        let id = adam.workspace();
        let first = billing::invoice(&env.ctx, &adam.permit_read().unwrap(), 1).await.unwrap();
        assert_eq!((first.what.as_str(), first.amount.cents(), first.buyer.company.as_str()), ("Scale, 1 month", 9900, "Acme"));
        let form = DetailsForm {
            company: "Acme GmbH".to_owned(),
            vat_number: "DE 123456789".to_owned(),
            ..DetailsForm::default()
        };
        let changed = env.events(EventType::BillingDetailsChanged).await;
        for _ in 0..2 {
            billing::set_details(&env.ctx, &adam.permit().unwrap(), &form.parse().unwrap()).await.unwrap();
        }
        assert_eq!(env.events(EventType::BillingDetailsChanged).await, changed + 1, "once, where it changed something");
        // Eight purchases that are paid at the same moment, one of them told twice.
        let purpose = PaymentPurpose::Credits { credits: 1000 };
        let mut settled = JoinSet::new();
        for index in 0..8 {
            let place = settlement::begin(&env.ctx, &adam.permit().unwrap(), &purpose, Money::from_cents(2900), PAGE).await.unwrap();
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
        let last = billing::invoice(&env.ctx, &adam.permit_read().unwrap(), 10).await.unwrap();
        assert_eq!((last.buyer.company.as_str(), last.buyer.vat_number.as_str()), ("Acme GmbH", "DE123456789"));
        assert_eq!(billing::invoice(&env.ctx, &adam.permit_read().unwrap(), 1).await.unwrap(), first, "as it was issued");
        assert!(last.number.ends_with("-0010") && last.number.len() == 13, "{}", last.number);
        let view = billing::view(&env.ctx, &adam.permit_read().unwrap(), None).await.unwrap();
        assert_eq!(view.payments.iter().filter(|row| row.invoice.is_some()).count(), 10);
        // Of no other workspace, and for nobody who may not see billing.
        let greta = env.actor(GRETA, "globex").await;
        assert_eq!(async { billing::invoice(&env.ctx, &greta.permit_read()?, 10).await }.await, Err(AppError::NotFound));
        let mia = env.actor(MIA, "acme").await;
        assert!(matches!(async { billing::invoice(&env.ctx, &mia.permit_read()?, 1).await }.await, Err(AppError::Forbidden { .. })));
        assert!(matches!(async { billing::set_details(&env.ctx, &mia.permit()?, &form.parse().unwrap()).await }.await, Err(AppError::Forbidden { .. })));
    }
}

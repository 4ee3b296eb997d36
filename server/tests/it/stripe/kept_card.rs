//! What is charged to the card that was kept: months, top-ups and changes of plan, whatever gets lost.

use std::collections::HashSet;

use axum::http::Method;
use domain::credits::{EntryKind, TopUp};
use domain::subscriptions::SubscriptionStatus;
use domain::{AppError, Money, Timestamp, WorkspaceId, minutes};
use serde_json::Value;
use store::auth::{Principal, Unattended};
use store::billing::{self, Chosen};
use store::credits::top_up;
use store::db::entity;
use store::db::sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, PaginatorTrait};
use store::settlement;

use super::{
    PAGE, adds_up, customer, field, last, lines, on_trial, plan, stripe, subscribe, terms, work,
};
use crate::both::both;
use crate::fake_stripe::{BAD, GOOD, Lost};
use crate::support::Server;

/// Lets the month end a minute ago, by moving everything in the subscription back.
async fn let_month_end(server: &Server, workspace: WorkspaceId) {
    let mut row = plan(server, workspace).await;
    let time = row.ends_at.since(Timestamp::now().before(minutes(1)));
    row.billing_cycle_anchor = row.billing_cycle_anchor.before(time);
    row.begins_at = row.begins_at.before(time);
    row.ends_at = row.ends_at.before(time);
    row.due_at = row.due_at.map(|at| at.before(time));
    let tx = server.ctx.db().begin().await.unwrap();
    let row = row.into_active_model().reset_all();
    row.update(&tx).await.unwrap();
    tx.commit().await.unwrap();
}

both! {
    async fn a_subscription_is_charged_by_the_month_to_the_card_that_was_kept(server) {
        let stand_in = stripe(server).await;
        let greta = on_trial(server).await;
        let workspace = greta.workspace();
        subscribe(server, &stand_in, &greta, GOOD).await;
        let asked = stand_in.asked(&Method::POST, "/checkout/sessions").remove(0);
        assert_eq!(field(&asked, "payment_intent_data[setup_future_usage]"), "off_session");
        let customer = customer(server, workspace).await;
        assert_eq!(stand_in.taken(&customer).await.len(), 1);
        for month in 2..=3 {
            let due = plan(server, workspace).await.ends_at.after(minutes(1));
            work(server, due).await;
            work(server, due).await;
            let taken = stand_in.taken(&customer).await;
            assert_eq!(taken.len(), month, "each month once");
            assert!(taken.iter().all(|one| one["amount"] == 4900));
            let now = plan(server, workspace).await;
            assert_eq!((now.status, now.payment_id), (SubscriptionStatus::Active, None));
            assert!(now.ends_at > due);
        }
        // Another card is chosen on the portal, and the bank says no to it.
        let portal = billing::manage(&server.ctx, &greta.permit().unwrap(), "/w/fresh/settings/billing").await.unwrap();
        assert_eq!(portal, format!("{}/p/session/{customer}", stand_in.base));
        stand_in.choose_card(&customer, BAD).await;
        let due = plan(server, workspace).await.ends_at.after(minutes(1));
        work(server, due).await;
        work(server, due).await;
        assert_eq!(plan(server, workspace).await.status, SubscriptionStatus::PastDue);
        assert_eq!(stand_in.taken(&customer).await.len(), 3);
        // And then a good one again.
        stand_in.choose_card(&customer, GOOD).await;
        let again = plan(server, workspace).await.due_at.unwrap().after(minutes(1));
        work(server, again).await;
        work(server, again).await;
        assert_eq!(plan(server, workspace).await.status, SubscriptionStatus::Active);
        assert_eq!(stand_in.taken(&customer).await.len(), 4);
        adds_up(server).await;
    }

    async fn a_top_up_is_charged_to_the_card_of_the_subscription(server) {
        let stand_in = stripe(server).await;
        let greta = on_trial(server).await;
        subscribe(server, &stand_in, &greta, GOOD).await;
        let wanted = TopUp { credits: 1000, limit: Money::from_cents(10_000) };
        top_up::set(&server.ctx, &greta.permit().unwrap(), Some(wanted), Timestamp::now()).await.unwrap();
        let principal = Principal::from(greta.clone());
        top_up::shortfall(&server.ctx, &principal, 2000, 1500).await.unwrap();
        for _ in 0..2 {
            top_up::process_due(&server.ctx, Timestamp::now()).await.unwrap();
            work(server, Timestamp::now()).await;
        }
        let customer = customer(server, greta.workspace()).await;
        let taken: Vec<Value> = stand_in.taken(&customer).await;
        let amounts: HashSet<i64> = taken.iter().filter_map(|one| one["amount"].as_i64()).collect();
        assert_eq!(amounts, HashSet::from([4900, 2900]));
        let paid = last(server, greta.workspace()).await;
        assert_eq!(lines(server, paid.id).await, [(EntryKind::Purchase, 1000)]);
        // Paid back, it is found without a page.
        settlement::refund(Unattended::Operator, &server.ctx, paid.id, None).await.unwrap();
        assert_eq!(lines(server, paid.id).await[1..], [(EntryKind::Refund, -1000)]);
        adds_up(server).await;
    }

    async fn a_change_of_plan_is_charged_at_once(server) {
        let stand_in = stripe(server).await;
        let greta = on_trial(server).await;
        subscribe(server, &stand_in, &greta, GOOD).await;
        let agreed = Money::from_cents(1_000_000);
        let permit = greta.permit().unwrap();
        let choose = || billing::choose(&server.ctx, &permit, terms("scale"), agreed, PAGE, Timestamp::now());
        let customer = customer(server, greta.workspace()).await;
        billing::manage(&server.ctx, &greta.permit().unwrap(), PAGE).await.unwrap();
        stand_in.choose_card(&customer, BAD).await;
        let refused = choose().await.unwrap_err();
        assert!(refused.to_string().contains("declined"), "{refused}");
        assert_eq!(plan(server, greta.workspace()).await.plan.as_deref(), Some("light"));
        stand_in.choose_card(&customer, GOOD).await;
        assert!(matches!(choose().await.unwrap(), Chosen::Done(_)));
        assert_eq!(plan(server, greta.workspace()).await.plan.as_deref(), Some("scale"));
        assert_eq!(stand_in.taken(&customer).await.len(), 2);
    }

    async fn whatever_gets_lost_a_month_is_charged_once(server) {
        let stand_in = stripe(server).await;
        let greta = on_trial(server).await;
        subscribe(server, &stand_in, &greta, GOOD).await;
        let customer = customer(server, greta.workspace()).await;
        for (months, lost) in [(2, Lost::Request), (3, Lost::Answer)] {
            let_month_end(server, greta.workspace()).await;
            let now = Timestamp::now();
            stand_in.lose("/payment_intents", lost);
            work(server, now).await;
            let waits = plan(server, greta.workspace()).await;
            assert!(waits.payment_id.is_some(), "it is not known what became of it");
            work(server, now.after(minutes(2))).await;
            work(server, now.after(minutes(20))).await;
            assert_eq!(stand_in.taken(&customer).await.len(), months, "{lost:?}");
            assert_eq!(plan(server, greta.workspace()).await.payment_id, None);
            assert!(plan(server, greta.workspace()).await.ends_at > now);
        }
    }

    async fn a_change_that_gets_lost_is_charged_or_is_not_and_the_plan_follows(server) {
        let stand_in = stripe(server).await;
        let greta = on_trial(server).await;
        subscribe(server, &stand_in, &greta, GOOD).await;
        let customer = customer(server, greta.workspace()).await;
        let agreed = Money::from_cents(1_000_000);
        let permit = greta.permit().unwrap();
        let choose = || billing::choose(&server.ctx, &permit, terms("scale"), agreed, PAGE, Timestamp::now());
        for (lost, after, charges) in [(Lost::Request, "light", 1), (Lost::Answer, "scale", 2)] {
            stand_in.lose("/payment_intents", lost);
            let error = choose().await.unwrap_err();
            assert!(error.to_string().contains("reach the payment provider"), "{error}");
            assert!(matches!(choose().await, Err(AppError::Conflict(_))), "one payment at a time");
            work(server, Timestamp::now().after(minutes(2))).await;
            let now = plan(server, greta.workspace()).await;
            assert_eq!((now.plan.as_deref(), now.payment_id), (Some(after), None), "{lost:?}");
            assert_eq!(stand_in.taken(&customer).await.len(), charges, "{lost:?}");
        }
    }

    async fn the_cards_of_a_workspace_that_is_gone_are_forgotten(server) {
        let stand_in = stripe(server).await;
        let greta = on_trial(server).await;
        subscribe(server, &stand_in, &greta, GOOD).await;
        let customer = customer(server, greta.workspace()).await;
        let gone = || server.ctx.payments().delete_orphaned_customers(server.ctx.provider_context());
        gone().await.unwrap();
        assert!(stand_in.knows(&customer).await, "it is there still");
        let tx = server.ctx.db().begin().await.unwrap();
        entity::Workspace::delete_by_id(greta.workspace()).exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        gone().await.unwrap();
        assert!(!stand_in.knows(&customer).await);
        let left = entity::StripeCustomer::find().count(server.ctx.db().read()).await.unwrap();
        assert_eq!(left, 0);
    }
}

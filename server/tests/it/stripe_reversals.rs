//! Refunds and disputes as Stripe tells of them: by its own names, from its own pages, in any order and more than once.

use axum::http::{Method, StatusCode};
use domain::credits::EntryKind;
use domain::{Money, PaymentId, Timestamp, WorkspaceId, minutes};
use serde_json::{Value, json};
use store::auth::{Actor, Unattended};
use store::billing::{self, Chosen};
use store::db::entity::{self, payment_reversal};
use store::db::sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use store::settlement;

use crate::both::both;
use crate::fake_stripe::{BAD, GOOD, StandIn, event};
use crate::stripe::{
    actor, adds_up, buy, customer, find, last, lines, on_trial, plan, stripe, subscribe, tell, work,
};
use crate::support::Server;

async fn balance(server: &Server, workspace: WorkspaceId) -> i64 {
    plan(server, workspace).await.balance.cents()
}

/// Stripe tells of something that happened in that second.
async fn tell_of(server: &Server, second: i64, kind: &str, object: &Value) {
    let mut event = event(kind, object);
    event["created"] = json!(second);
    assert_eq!(tell(server, &event).await, StatusCode::OK, "{kind}");
}

async fn now(server: &Server, kind: &str, object: &Value) {
    tell_of(server, Timestamp::now().millis() / 1000, kind, object).await;
}

/// A dispute as Stripe writes one: of our payment it says nothing.
fn dispute(id: &str, intent: Option<&str>, charge: &str, cents: i64, status: &str) -> Value {
    json!({
        "id": id, "object": "dispute", "amount": cents, "currency": "usd", "status": status, "metadata": {},
        "charge": charge, "payment_intent": intent, "balance_transactions": [], "reason": "fraudulent",
        "is_charge_refundable": false, "evidence_details": {"due_by": 1, "has_evidence": false},
    })
}

fn refund(id: &str, intent: &str, cents: i64, status: &str) -> Value {
    json!({
        "id": id, "object": "refund", "amount": cents, "currency": "usd", "status": status, "metadata": {},
        "charge": "ch_1", "payment_intent": intent,
    })
}

/// What Stripe calls the last payment of a workspace, and its charge.
async fn names(server: &Server, stand_in: &StandIn, workspace: WorkspaceId) -> (String, String) {
    let payment = last(server, workspace).await;
    let intent = payment.intent_id.expect("it was told");
    let charge = stand_in.charge_of(&intent).await;
    (intent, charge)
}

/// Buys credits, and answers the payment and what Stripe calls it.
async fn bought(server: &Server, stand_in: &StandIn, actor: &Actor) -> (PaymentId, String, String) {
    let (id, url) = buy(server, actor).await;
    tell(server, &stand_in.pay(&url, GOOD).await).await;
    let (intent, charge) = names(server, stand_in, actor.workspace()).await;
    (id, intent, charge)
}

/// As if it was paid before anybody kept what Stripe calls it.
async fn forget_intent(server: &Server, id: PaymentId) {
    use store::db::sea_orm::sea_query::Expr;
    let tx = server.ctx.db().begin().await.unwrap();
    entity::Payment::update_many()
        .col_expr(
            entity::payment::Column::IntentId,
            Expr::value(None::<String>),
        )
        .filter(entity::payment::Column::Id.eq(id))
        .exec(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

both! {
    async fn a_month_that_is_disputed_is_collected_with_the_next(server) {
        let stand_in = stripe(server).await;
        let greta = on_trial(server).await;
        let id = greta.workspace();
        subscribe(server, &stand_in, &greta, GOOD).await;
        let (intent, charge) = names(server, &stand_in, id).await;
        let object = |status: &str| dispute("du_1", Some(&intent), &charge, 4900, status);
        for _ in 0..2 {
            now(server, "charge.dispute.created", &object("needs_response")).await;
            now(server, "charge.dispute.funds_withdrawn", &object("needs_response")).await;
        }
        assert_eq!(balance(server, id).await, -4900);
        let path = format!("/v1/payment_intents/{intent}");
        assert_eq!(stand_in.asked(&Method::GET, &path).len(), 0, "it is known whose that is");
        let page = server.page("greta", "/w/fresh/settings/billing").await;
        assert!(page.body.contains("You owe $49") && page.body.contains("Disputed"));
        let invoice = server.page("greta", "/w/fresh/settings/billing/invoices/1").await;
        assert!(invoice.body.contains("Disputed"));
        let due = plan(server, id).await.ends_at.after(minutes(1));
        work(server, due).await;
        work(server, due).await;
        let customer = customer(server, id).await;
        let mut taken: Vec<i64> = stand_in.taken(&customer).await.iter().filter_map(|one| one["amount"].as_i64()).collect();
        taken.sort_unstable();
        assert_eq!((taken, balance(server, id).await), (vec![4900, 9800], 0));
        // The charge of the kept card is known by its name too, and may be disputed as well.
        let (intent, charge) = names(server, &stand_in, id).await;
        let object = |status: &str| dispute("du_2", Some(&intent), &charge, 9800, status);
        now(server, "charge.dispute.closed", &object("lost")).await;
        now(server, "charge.dispute.created", &object("needs_response")).await;
        assert_eq!(balance(server, id).await, -9800);
        // And the first is decided in our favor, told by two events and then late by a third.
        let (intent, charge) = ("pi_unknown", "ch_unknown");
        let object = |status: &str| dispute("du_1", Some(intent), charge, 4900, status);
        now(server, "charge.dispute.funds_reinstated", &object("won")).await;
        now(server, "charge.dispute.closed", &object("won")).await;
        now(server, "charge.dispute.updated", &object("under_review")).await;
        assert_eq!(balance(server, id).await, -4900);
        let page = server.page("greta", "/w/fresh/settings/billing").await;
        assert!(page.body.contains("You owe $49"));
        adds_up(server).await;
    }

    async fn stripe_is_asked_whose_a_dispute_is(server) {
        let stand_in = stripe(server).await;
        let adam = actor(server, "adam", "acme").await;
        for by_charge in [false, true] {
            let (id, intent, charge) = bought(server, &stand_in, &adam).await;
            forget_intent(server, id).await;
            let name = format!("du_{by_charge}");
            let object = dispute(&name, Some(&intent).filter(|_| !by_charge).map(String::as_str), &charge, 2900, "needs_response");
            let told = event("charge.dispute.created", &object);
            // It gives no answer at first: then it is told again.
            stand_in.be_silent(true);
            assert!(!tell(server, &told).await.is_success());
            assert_eq!(find(server, id).await.disputed.cents(), 0);
            stand_in.be_silent(false);
            assert_eq!(tell(server, &told).await, StatusCode::OK);
            assert_eq!(find(server, id).await.disputed.cents(), 2900, "by charge: {by_charge}");
            assert_eq!(lines(server, id).await, [(EntryKind::Purchase, 1000), (EntryKind::Refund, -1000)]);
        }
        let none = event("charge.dispute.created", &dispute("du_x", Some("pi_nobodys"), "ch_nobodys", 2900, "needs_response"));
        assert_eq!(tell(server, &none).await, StatusCode::OK, "of something else that is sold there");
        let none = event("refund.created", &refund("re_x", "pi_nobodys", 2900, "succeeded"));
        assert_eq!(tell(server, &none).await, StatusCode::OK);
        assert_eq!(entity::PaymentReversal::find().count(server.ctx.db().read()).await.unwrap(), 2);
        adds_up(server).await;
    }

    async fn a_refund_is_one_whether_it_is_asked_or_told(server) {
        let stand_in = stripe(server).await;
        let adam = actor(server, "adam", "acme").await;
        let (id, intent, charge) = bought(server, &stand_in, &adam).await;
        let half = Some(Money::from_cents(1450));
        settlement::refund(Unattended::Operator, &server.ctx, id, half).await.unwrap();
        let known = entity::PaymentReversal::find()
            .filter(payment_reversal::Column::Kind.eq("refund"))
            .one(server.ctx.db().read())
            .await
            .unwrap()
            .unwrap();
        let half = [(EntryKind::Purchase, 1000), (EntryKind::Refund, -500)];
        let whole = |cents: i64| json!({
            "id": charge, "object": "charge", "amount": 2900, "amount_refunded": cents, "payment_intent": intent, "metadata": {},
        });
        for _ in 0..2 {
            now(server, "refund.created", &refund(&known.id, &intent, 1450, "pending")).await;
            now(server, "charge.refunded", &whole(1450)).await;
            now(server, "refund.updated", &refund(&known.id, &intent, 1450, "succeeded")).await;
            assert_eq!(lines(server, id).await, half);
        }
        // One more on Stripe's own pages, told by itself and by the charge.
        now(server, "charge.refunded", &whole(2000)).await;
        now(server, "refund.created", &refund("re_2", &intent, 550, "succeeded")).await;
        let refunded = find(server, id).await.refunded;
        assert_eq!(refunded.cents(), 2000);
        let sum: i64 = lines(server, id).await.iter().map(|(_, credits)| credits).sum();
        assert_eq!(sum, 1000 - 689, "by the same part");
        adds_up(server).await;
    }

    async fn a_refund_that_failed_is_not_one_and_can_be_tried_again(server) {
        let stand_in = stripe(server).await;
        let greta = on_trial(server).await;
        let id = greta.workspace();
        subscribe(server, &stand_in, &greta, GOOD).await;
        let payment = last(server, id).await.id;
        let (intent, _) = names(server, &stand_in, id).await;
        let part = Some(Money::from_cents(1000));
        settlement::refund(Unattended::Operator, &server.ctx, payment, part).await.unwrap();
        assert_eq!(balance(server, id).await, -1000);
        let known = entity::PaymentReversal::find()
            .filter(payment_reversal::Column::Kind.eq("refund"))
            .one(server.ctx.db().read())
            .await
            .unwrap()
            .unwrap();
        let later = Timestamp::now().millis() / 1000 + 60;
        for kind in ["refund.failed", "refund.updated", "charge.refund.updated"] {
            tell_of(server, later, kind, &refund(&known.id, &intent, 1000, "failed")).await;
            assert_eq!(balance(server, id).await, 0);
        }
        assert_eq!(settlement::refund(Unattended::Operator, &server.ctx, payment, part).await.unwrap().cents(), 1000);
        assert_eq!(balance(server, id).await, -1000);
        let refunds = stand_in.asked(&Method::POST, "/v1/refunds");
        assert_eq!(refunds.len(), 2);
        assert_eq!(find(server, payment).await.refunded.cents(), 1000);
    }

    async fn what_is_owed_and_declined_is_paid_on_checkout(server) {
        let stand_in = stripe(server).await;
        let greta = on_trial(server).await;
        let id = greta.workspace();
        subscribe(server, &stand_in, &greta, GOOD).await;
        let payment = last(server, id).await.id;
        settlement::refund(Unattended::Operator, &server.ctx, payment, None).await.unwrap();
        let customer = customer(server, id).await;
        billing::manage(&server.ctx, &greta.permit().unwrap(), "/w/fresh/settings/billing").await.unwrap();
        stand_in.choose_card(&customer, BAD).await;
        let due = plan(server, id).await.ends_at.after(minutes(1));
        work(server, due).await;
        work(server, due).await;
        assert_eq!(balance(server, id).await, -4900);
        let permit = greta.permit().unwrap();
        let choose = |agreed: i64| {
            let agreed = Money::from_cents(agreed);
            let terms = crate::stripe::terms("light");
            billing::choose(&server.ctx, &permit, terms, agreed, "/w/fresh/settings/billing", due)
        };
        assert!(choose(4900).await.is_err(), "more than was agreed to");
        let Chosen::Pay(url) = choose(9800).await.unwrap() else { panic!() };
        tell(server, &stand_in.pay(&url, GOOD).await).await;
        assert_eq!(balance(server, id).await, 0);
        assert_eq!(last(server, id).await.amount.cents(), 9800);
    }
}

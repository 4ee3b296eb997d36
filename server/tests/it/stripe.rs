//! Stripe as the provider, in front of what stands for it: what is charged is granted once, whatever gets lost; the card
//! that is charged is the one that was chosen; nothing is believed that Stripe did not sign.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use domain::catalog::EventType;
use domain::credits::{EntryKind, TopUp};
use domain::payments::{PaymentPurpose, PaymentStatus};
use domain::subscriptions::{SubscriptionStatus, Terms};
use domain::workspace::NewWorkspaceForm;
use domain::{AppError, Money, PaymentId, Secret, Timestamp, WorkspaceId, minutes};
use serde_json::{Value, json};
use store::auth::{Actor, Caller, Principal};
use store::billing::{self, Chosen, subscriptions};
use store::credits::top_up;
use store::credits::verify::verify;
use store::db::entity::{self, credit_entry, event as events, payment, subscription};
use store::db::sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder,
};
use store::settlement::provider_webhook::sign;
use store::{settlement, workspace as workspaces};

use crate::both::both;
use crate::fake_stripe::{BAD, GOOD, HOOK, Lost, StandIn, event};
use crate::support::{Server, info};

const PAGE: &str = "/w/acme/settings/credits";
const PRICE: Money = Money::from_cents(2900);

pub async fn actor(server: &Server, who: &str, workspace: &str) -> Actor {
    let cookie = server.cookies[who].expose().to_owned();
    let caller = Caller::new(server.ctx.clone(), info(), Some(cookie));
    caller.actor(workspace).await.unwrap()
}

/// Puts Stripe behind the port.
pub async fn stripe(server: &Server) -> StandIn {
    let stand_in = StandIn::start().await;
    server.ctx.set_payments(Arc::new(stand_in.provider()));
    stand_in
}

/// A new workspace of Greta's, on trial.
pub async fn on_trial(server: &Server) -> Actor {
    let cookie = server.cookies["greta"].expose().to_owned();
    let caller = Caller::new(server.ctx.clone(), info(), Some(cookie));
    let form = NewWorkspaceForm {
        name: "Fresh".to_owned(),
        slug: "fresh".to_owned(),
    };
    let greta = caller.person().await.unwrap();
    workspaces::create(&server.ctx, &greta, &form)
        .await
        .unwrap();
    actor(server, "greta", "fresh").await
}

pub fn terms(plan: &str) -> Terms {
    Terms {
        plan: plan.to_owned(),
        cdr_mode: false,
    }
}

pub async fn buy(server: &Server, actor: &Actor) -> (PaymentId, String) {
    let purpose = PaymentPurpose::Credits { credits: 1000 };
    let url = settlement::begin(&server.ctx, actor, &purpose, PRICE, PAGE)
        .await
        .unwrap();
    (last(server, actor.workspace()).await.id, url)
}

pub async fn subscribe(server: &Server, stand_in: &StandIn, actor: &Actor, card: &str) {
    let page = "/w/fresh/settings/billing";
    let agreed = Money::from_cents(1_000_000);
    let chosen = billing::choose(
        &server.ctx,
        actor,
        terms("light"),
        agreed,
        page,
        Timestamp::now(),
    );
    let Chosen::Pay(url) = chosen.await.unwrap() else {
        panic!("nothing to pay");
    };
    let paid = stand_in.pay(&url, card).await;
    assert_eq!(tell(server, &paid).await, StatusCode::OK);
}

pub async fn last(server: &Server, workspace: WorkspaceId) -> payment::Model {
    entity::Payment::find()
        .filter(payment::Column::WorkspaceId.eq(workspace))
        .order_by_desc(payment::Column::Id)
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap()
}

pub async fn find(server: &Server, id: PaymentId) -> payment::Model {
    entity::Payment::find_by_id(id)
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap()
}

pub async fn plan(server: &Server, workspace: WorkspaceId) -> subscription::Model {
    entity::Subscription::find_by_id(workspace)
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap()
}

pub async fn customer(server: &Server, workspace: WorkspaceId) -> String {
    entity::StripeCustomer::find_by_id(workspace)
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap()
        .customer_id
}

/// The lines that a payment of credits left in the ledger.
pub async fn lines(server: &Server, id: PaymentId) -> Vec<(EntryKind, i64)> {
    let bought = entity::CreditEntry::find()
        .filter(credit_entry::Column::IdempotencyKey.eq(id.to_string()))
        .all(server.ctx.db().read())
        .await
        .unwrap();
    let ids: Vec<_> = bought.iter().map(|line| line.id).collect();
    let back = entity::CreditEntry::find()
        .filter(credit_entry::Column::Refunds.is_in(ids))
        .order_by_asc(credit_entry::Column::Number)
        .all(server.ctx.db().read())
        .await
        .unwrap();
    bought
        .into_iter()
        .chain(back)
        .map(|line| (line.kind, line.amount))
        .collect()
}

async fn post(server: &Server, header: &str, body: &str) -> StatusCode {
    let request = Request::post("/stripe/webhook")
        .header("stripe-signature", header)
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    server.send(request).await.status
}

/// Stripe tells of an event.
pub async fn tell(server: &Server, event: &Value) -> StatusCode {
    let body = event.to_string();
    let second = Timestamp::now().millis() / 1000;
    post(
        server,
        &sign(&Secret::from(HOOK), second, body.as_bytes()),
        &body,
    )
    .await
}

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

/// What the worker does by `now`.
pub async fn work(server: &Server, now: Timestamp) {
    subscriptions::process_due(&server.ctx, now).await.unwrap();
    settlement::reconcile_pending(&server.ctx, now)
        .await
        .unwrap();
}

pub async fn adds_up(server: &Server) {
    assert_eq!(verify(server.ctx.db().read()).await.unwrap(), []);
}

pub fn field<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    let found = fields.iter().find(|(key, _)| key == name);
    found.map_or("", |(_, value)| value)
}

both! {
    async fn what_is_bought_on_checkout_is_granted_once_by_its_event(server) {
        let stand_in = stripe(server).await;
        let adam = actor(server, "adam", "acme").await;
        let (id, url) = buy(server, &adam).await;
        let asked = stand_in.asked(&Method::POST, "/checkout/sessions").remove(0);
        for (name, value) in [
            ("mode", "payment"),
            ("line_items[0][price_data][unit_amount]", "2900"),
            ("line_items[0][price_data][currency]", "usd"),
            ("line_items[0][price_data][product_data][name]", "1,000 credits"),
            ("client_reference_id", &id.to_string()),
            ("success_url", &format!("http://127.0.0.1:3000{PAGE}?payment={id}")),
            ("payment_intent_data[setup_future_usage]", ""),
        ] {
            assert_eq!(field(&asked, name), value, "{name}");
        }
        assert_eq!(find(server, id).await.status, PaymentStatus::Open);
        let paid = stand_in.pay(&url, GOOD).await;
        assert_eq!(lines(server, id).await, [], "not before it is told");
        for _ in 0..5 {
            assert_eq!(tell(server, &paid).await, StatusCode::OK);
        }
        // Told once more under another id, as when Stripe sends an event again by hand.
        let again = event("checkout.session.completed", &paid["data"]["object"]);
        assert_eq!(tell(server, &again).await, StatusCode::OK);
        let expired = event("checkout.session.expired", &paid["data"]["object"]);
        assert_eq!(tell(server, &expired).await, StatusCode::OK, "too late");
        assert_eq!(lines(server, id).await, [(EntryKind::Purchase, 1000)]);
        assert_eq!(find(server, id).await.status, PaymentStatus::Paid);
        adds_up(server).await;
    }

    async fn who_comes_back_before_the_event_sees_what_became_of_it(server) {
        let stand_in = stripe(server).await;
        let adam = actor(server, "adam", "acme").await;
        let (id, url) = buy(server, &adam).await;
        let path = format!("{PAGE}?payment={id}");
        let page = server.page("adam", &path).await;
        assert!(page.body.contains("complete yet"), "left without paying");
        stand_in.pay(&url, GOOD).await;
        // Whoever reloads does not keep Stripe busy.
        let before = stand_in.asked(&Method::GET, url.rsplit('/').next().unwrap()).len();
        for _ in 0..3 {
            server.page("adam", &path).await;
        }
        let after = stand_in.asked(&Method::GET, url.rsplit('/').next().unwrap()).len();
        assert!(after <= before + 1, "{before} and then {after}");
        work(server, Timestamp::now().after(minutes(2))).await;
        let page = server.page("adam", &path).await;
        assert!(page.body.contains("went through. Thank you."));
        assert_eq!(lines(server, id).await, [(EntryKind::Purchase, 1000)]);
        let (second, url) = buy(server, &adam).await;
        stand_in.pay(&url, GOOD).await;
        let page = server.page("adam", &format!("{PAGE}?payment={second}")).await;
        assert!(page.body.contains("went through. Thank you."), "asked at once");
    }

    async fn nothing_is_believed_that_stripe_did_not_sign(server) {
        let stand_in = stripe(server).await;
        let adam = actor(server, "adam", "acme").await;
        let (id, url) = buy(server, &adam).await;
        let body = stand_in.pay(&url, GOOD).await.to_string();
        let now = Timestamp::now().millis() / 1000;
        let of = |secret: &str, second| sign(&Secret::from(secret), second, body.as_bytes());
        for header in [String::new(), of("whsec_other", now), of(HOOK, now - 301), of(HOOK, now + 301)] {
            assert_eq!(post(server, &header, &body).await, StatusCode::BAD_REQUEST, "{header}");
        }
        assert_eq!(lines(server, id).await, []);
        let mut other = stand_in.pay(&url, GOOD).await;
        other["data"]["object"]["amount_total"] = json!(100);
        assert_eq!(tell(server, &other).await, StatusCode::OK);
        assert_eq!(lines(server, id).await, [], "another amount than was asked for");
    }

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
        let portal = billing::manage(&server.ctx, &greta, "/w/fresh/settings/billing").await.unwrap();
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
        top_up::set(&server.ctx, &greta, Some(wanted), Timestamp::now()).await.unwrap();
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
        settlement::refund(&server.ctx, paid.id, None).await.unwrap();
        assert_eq!(lines(server, paid.id).await[1..], [(EntryKind::Refund, -1000)]);
        adds_up(server).await;
    }

    async fn a_change_of_plan_is_charged_at_once(server) {
        let stand_in = stripe(server).await;
        let greta = on_trial(server).await;
        subscribe(server, &stand_in, &greta, GOOD).await;
        let agreed = Money::from_cents(1_000_000);
        let choose = || billing::choose(&server.ctx, &greta, terms("scale"), agreed, PAGE, Timestamp::now());
        let customer = customer(server, greta.workspace()).await;
        billing::manage(&server.ctx, &greta, PAGE).await.unwrap();
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
        let choose = || billing::choose(&server.ctx, &greta, terms("scale"), agreed, PAGE, Timestamp::now());
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

    async fn a_page_that_could_not_be_opened_costs_nothing(server) {
        let stand_in = stripe(server).await;
        let adam = actor(server, "adam", "acme").await;
        let purpose = PaymentPurpose::Credits { credits: 1000 };
        for lost in [Lost::Request, Lost::Answer] {
            stand_in.lose("/checkout/sessions", lost);
            let begun = settlement::begin(&server.ctx, &adam, &purpose, PRICE, PAGE).await;
            assert!(begun.unwrap_err().to_string().contains("reach the payment provider"));
            let begun = last(server, adam.workspace()).await;
            work(server, Timestamp::now().after(minutes(2))).await;
            let now = find(server, begun.id).await;
            let expected = if lost == Lost::Answer { PaymentStatus::Open } else { PaymentStatus::Started };
            assert_eq!(now.status, expected, "{lost:?}");
        }
        // What nobody pays in time is over, whether that is told or asked.
        let (left, url) = buy(server, &adam).await;
        assert_eq!(tell(server, &stand_in.expire(&url)).await, StatusCode::OK);
        assert_eq!(find(server, left).await.status, PaymentStatus::Expired);
        let (left, url) = buy(server, &adam).await;
        stand_in.expire(&url);
        work(server, Timestamp::now().after(minutes(2))).await;
        assert_eq!(find(server, left).await.status, PaymentStatus::Expired);
        // A customer whose making got lost is still one customer.
        let greta = actor(server, "greta", "globex").await;
        stand_in.lose("/customers", Lost::Answer);
        settlement::begin(&server.ctx, &greta, &purpose, PRICE, PAGE).await.unwrap_err();
        let (id, url) = buy(server, &greta).await;
        tell(server, &stand_in.pay(&url, GOOD).await).await;
        assert_eq!(find(server, id).await.status, PaymentStatus::Paid);
        let asked: HashSet<_> = stand_in.asked(&Method::POST, "/v1/customers").into_iter().collect();
        assert_eq!(asked.len(), 2, "Acme's and Globex's");
    }

    async fn what_is_paid_back_takes_back_what_it_gave(server) {
        let stand_in = stripe(server).await;
        let adam = actor(server, "adam", "acme").await;
        let (id, url) = buy(server, &adam).await;
        tell(server, &stand_in.pay(&url, GOOD).await).await;
        let cents = |cents| Some(Money::from_cents(cents));
        assert!(settlement::refund(&server.ctx, id, cents(2901)).await.is_err(), "more than was paid");
        let part = settlement::refund(&server.ctx, id, cents(1450)).await.unwrap();
        assert_eq!(part, Money::from_cents(1450));
        let charge = |refunded: i64| event("charge.refunded", &json!({
            "object": "charge", "amount": 2900, "amount_refunded": refunded, "metadata": {"payment": id},
        }));
        for _ in 0..3 {
            assert_eq!(tell(server, &charge(1450)).await, StatusCode::OK);
        }
        let half = [(EntryKind::Purchase, 1000), (EntryKind::Refund, -500)];
        assert_eq!(lines(server, id).await, half);
        // The rest by Stripe's own pages, told in the wrong order.
        assert_eq!(tell(server, &charge(2900)).await, StatusCode::OK);
        assert_eq!(tell(server, &charge(2000)).await, StatusCode::OK);
        assert_eq!(lines(server, id).await[1..], [(EntryKind::Refund, -500), (EntryKind::Refund, -500)]);
        assert!(settlement::refund(&server.ctx, id, None).await.is_err(), "nothing is left to pay back");
        let told = entity::Event::find()
            .filter(events::Column::EventType.eq(EventType::BillingPaymentRefunded))
            .count(server.ctx.db().read())
            .await
            .unwrap();
        assert_eq!(told, 2);
        let page = server.page("adam", "/w/acme/settings/billing").await;
        assert!(page.body.contains("Refunded"));
        adds_up(server).await;
    }

    async fn what_was_paid_back_before_it_was_told_paid_gives_nothing(server) {
        let stand_in = stripe(server).await;
        let adam = actor(server, "adam", "acme").await;
        let (id, url) = buy(server, &adam).await;
        let paid = stand_in.pay(&url, GOOD).await;
        let refunded = event("charge.refunded", &json!({"amount_refunded": 2900, "metadata": {"payment": id}}));
        assert_eq!(tell(server, &refunded).await, StatusCode::OK);
        assert_eq!(tell(server, &paid).await, StatusCode::OK);
        assert_eq!(lines(server, id).await, [(EntryKind::Purchase, 1000), (EntryKind::Refund, -1000)]);
        adds_up(server).await;
    }

    async fn without_script_a_form_leads_to_stripe_and_nowhere_else(server) {
        let stand_in = stripe(server).await;
        let page = server.page("adam", PAGE).await;
        let policy = page.header("content-security-policy");
        assert!(policy.ends_with(&format!("form-action 'self' {}", stand_in.base)), "{policy}");
        let form = page.body.split("action=\"/fn/buy_credits").nth(1).unwrap();
        let path = format!("/fn/buy_credits{}", form.split('"').next().unwrap());
        let workspace = form.split("name=\"form[workspace]\"").nth(1).unwrap();
        let workspace = workspace.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
        let fields = [("form[workspace]", workspace.to_owned()), ("form[credits]", "1000".to_owned())];
        let answer = server.submit("adam", &path, &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let place = answer.header("location");
        assert!(place.starts_with(&format!("{}/c/pay/cs_test_", stand_in.base)), "{place}");
        let answer = server.call("adam", &path, &fields).await;
        assert!(answer.header("location").starts_with(&stand_in.base));
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

/// Stripe's own library signs, and checks what is signed here.
#[tokio::test(flavor = "multi_thread")]
async fn stripes_own_library_agrees_about_signatures() {
    let server = Server::new(crate::support::Kind::Sqlite).await;
    let stand_in = stripe(&server).await;
    let adam = actor(&server, "adam", "acme").await;
    let (id, url) = buy(&server, &adam).await;
    let body = stand_in.pay(&url, GOOD).await.to_string();
    let second = Timestamp::now().millis() / 1000;
    let ours = sign(&Secret::from(HOOK), second, body.as_bytes());
    let asked = json!({"secret": HOOK, "second": second, "body": body, "header": ours});
    let python = std::env::var("WHEELHOUSE_TEST_PYTHON").expect("bin/test sets it");
    let mut program = std::process::Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sign_stripe.py"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = program.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, asked.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success(), "it takes ours");
    let theirs = String::from_utf8(output.stdout).unwrap();
    assert_eq!(theirs.trim(), ours);
    assert_eq!(post(&server, theirs.trim(), &body).await, StatusCode::OK);
    assert_eq!(lines(&server, id).await, [(EntryKind::Purchase, 1000)]);
}

/// localstripe tells of a charge itself, over the network: nobody else has to ask what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_others_wrote_and_signed_is_understood() {
    let server = Server::new(crate::support::Kind::Sqlite).await;
    let stand_in = stripe(&server).await;
    let greta = on_trial(&server).await;
    subscribe(&server, &stand_in, &greta, GOOD).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("http://{}/stripe/webhook", listener.local_addr().unwrap());
    let router = server.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    stand_in.tell(&hook).await;
    stand_in.lose("/payment_intents", Lost::Answer);
    let due = plan(&server, greta.workspace())
        .await
        .ends_at
        .after(minutes(1));
    work(&server, due).await;
    for _ in 0..100 {
        if last(&server, greta.workspace()).await.status == PaymentStatus::Paid {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        last(&server, greta.workspace()).await.status,
        PaymentStatus::Paid
    );
    assert!(plan(&server, greta.workspace()).await.ends_at > due);
}

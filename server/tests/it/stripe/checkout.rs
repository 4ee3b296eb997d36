//! Payments on Checkout: granted once, taken back once, and nothing for a page that did not open.

use std::collections::HashSet;

use axum::http::{Method, StatusCode};
use domain::catalog::EventType;
use domain::credits::EntryKind;
use domain::payments::{PaymentPurpose, PaymentStatus};
use domain::{Money, Timestamp, minutes};
use serde_json::json;
use store::auth::Unattended;
use store::db::entity::{self, event as events};
use store::db::sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use store::settlement;

use super::{PAGE, PRICE, actor, adds_up, buy, field, find, last, lines, stripe, tell, work};
use crate::both::both;
use crate::fake_stripe::{GOOD, Lost, event};

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

    async fn a_page_that_could_not_be_opened_costs_nothing(server) {
        let stand_in = stripe(server).await;
        let adam = actor(server, "adam", "acme").await;
        let purpose = PaymentPurpose::Credits { credits: 1000 };
        for lost in [Lost::Request, Lost::Answer] {
            stand_in.lose("/checkout/sessions", lost);
            let begun = settlement::begin(&server.ctx, &adam.permit().unwrap(), &purpose, PRICE, PAGE).await;
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
        async { settlement::begin(&server.ctx, &greta.permit()?, &purpose, PRICE, PAGE).await }.await.unwrap_err();
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
        assert!(settlement::refund(Unattended::Operator, &server.ctx, id, cents(2901)).await.is_err(), "more than was paid");
        let part = settlement::refund(Unattended::Operator, &server.ctx, id, cents(1450)).await.unwrap();
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
        assert!(settlement::refund(Unattended::Operator, &server.ctx, id, None).await.is_err(), "nothing is left to pay back");
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
}

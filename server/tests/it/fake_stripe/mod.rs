//! What stands for Stripe in the tests. Customers, cards, charges and refunds are localstripe's, which was written by
//! others; what it does not know stands here: Checkout, the portal, idempotency keys, and answers that get lost.

mod answers;
mod localstripe;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{Method, StatusCode};
use domain::{Secret, Timestamp};
use serde_json::{Value, json};
use wheelhouse::payments::stripe::Stripe;

use answers::answer;
use localstripe::ask_localstripe;

pub const KEY: &str = "sk_test_wheelhouse";
pub const HOOK: &str = "whsec_of_the_tests";
/// A card that pays, and one that can be kept and is then declined.
pub const GOOD: &str = "pm_card_visa";
pub const BAD: &str = "pm_card_chargeCustomerFail";

/// What goes wrong with the next request that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It never arrives.
    Request,
    /// It is done, and nobody hears of it.
    Answer,
}

type Fields = Vec<(String, String)>;

#[derive(Debug, Default)]
struct Books {
    sessions: Vec<Value>,
    /// By idempotency key: what was asked, and what was answered.
    answered: HashMap<String, (Fields, StatusCode, Value)>,
    asked: Vec<(Method, String, Fields)>,
    lose: Option<(&'static str, Lost)>,
    /// Whether it answers nothing to whoever only looks.
    silent: bool,
}

#[derive(Clone, Debug)]
pub struct StandIn {
    books: Arc<Mutex<Books>>,
    pub base: String,
}

impl StandIn {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stand_in = Self {
            books: Arc::default(),
            base: format!("http://{}", listener.local_addr().unwrap()),
        };
        let router = Router::new().fallback(answer).with_state(stand_in.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        stand_in
    }

    /// The provider that asks it.
    pub fn provider(&self) -> Stripe {
        Stripe::new(&self.base, Secret::from(KEY), Secret::from(HOOK))
    }

    /// The next request to a path that ends like this gets lost.
    pub fn lose(&self, path: &'static str, lost: Lost) {
        self.books.lock().unwrap().lose = Some((path, lost));
    }

    /// Whether whoever only looks gets no answer.
    pub fn be_silent(&self, silent: bool) {
        self.books.lock().unwrap().silent = silent;
    }

    /// The fields of every request to a path that ends like this.
    pub fn asked(&self, method: &Method, path: &str) -> Vec<Fields> {
        let books = self.books.lock().unwrap();
        let asked = books.asked.iter();
        asked
            .filter(|(how, to, _)| how == method && to.ends_with(path))
            .map(|(_, _, fields)| fields.clone())
            .collect()
    }

    fn session(&self, id: &str) -> Value {
        let books = self.books.lock().unwrap();
        let session = books.sessions.iter().find(|session| session["id"] == id);
        session.cloned().unwrap_or(Value::Null)
    }

    /// Pays on Checkout with a card. Answers the event that Stripe tells of it.
    pub async fn pay(&self, url: &str, card: &str) -> Value {
        let id = url.rsplit('/').next().unwrap();
        let session = self.session(id);
        let customer = session["customer"].as_str().unwrap().to_owned();
        let card = self.attach(&customer, card).await;
        let fields = vec![
            ("amount".to_owned(), session["amount_total"].to_string()),
            ("currency".to_owned(), "usd".to_owned()),
            ("customer".to_owned(), customer),
            ("payment_method".to_owned(), card),
            ("confirm".to_owned(), "true".to_owned()),
            (
                "metadata[payment]".to_owned(),
                session["client_reference_id"].as_str().unwrap().to_owned(),
            ),
        ];
        let (status, intent) = ask_localstripe(Method::POST, "/v1/payment_intents", &fields).await;
        assert_eq!(status, StatusCode::OK, "{intent}");
        self.change(
            id,
            &json!({
                "status": "complete", "payment_status": "paid", "payment_intent": intent["id"],
            }),
        );
        event("checkout.session.completed", &self.session(id))
    }

    /// What becomes of a page otherwise.
    pub fn change(&self, id: &str, change: &Value) {
        let mut books = self.books.lock().unwrap();
        let mut sessions = books.sessions.iter_mut();
        let session = sessions.find(|session| session["id"] == id).unwrap();
        for (key, value) in change.as_object().unwrap() {
            session[key] = value.clone();
        }
    }

    pub fn expire(&self, url: &str) -> Value {
        let id = url.rsplit('/').next().unwrap();
        self.change(id, &json!({"status": "expired"}));
        event("checkout.session.expired", &self.session(id))
    }

    async fn attach(&self, customer: &str, card: &str) -> String {
        let fields = vec![("customer".to_owned(), customer.to_owned())];
        let path = format!("/v1/payment_methods/{card}/attach");
        let (status, card) = ask_localstripe(Method::POST, &path, &fields).await;
        assert_eq!(status, StatusCode::OK, "{card}");
        card["id"].as_str().unwrap().to_owned()
    }

    /// Chooses another card, as on the portal.
    pub async fn choose_card(&self, customer: &str, card: &str) {
        let card = self.attach(customer, card).await;
        let fields = vec![("invoice_settings[default_payment_method]".to_owned(), card)];
        let path = format!("/v1/customers/{customer}");
        let (status, said) = ask_localstripe(Method::POST, &path, &fields).await;
        assert_eq!(status, StatusCode::OK, "{said}");
    }

    /// Lets localstripe tell of its events itself.
    pub async fn tell(&self, url: &str) {
        let fields = vec![
            ("url".to_owned(), url.to_owned()),
            ("secret".to_owned(), HOOK.to_owned()),
        ];
        ask_localstripe(Method::POST, "/_config/webhooks/wheelhouse", &fields).await;
    }

    /// Everything that was taken from a customer's cards.
    pub async fn taken(&self, customer: &str) -> Vec<Value> {
        let fields = vec![("limit".to_owned(), "100".to_owned())];
        let (_, list) = ask_localstripe(Method::GET, "/v1/payment_intents", &fields).await;
        let all = list["data"].as_array().unwrap().clone();
        let of = |one: &Value| one["customer"] == customer && one["status"] == "succeeded";
        all.into_iter().filter(of).collect()
    }

    /// The charge of a payment.
    pub async fn charge_of(&self, intent: &str) -> String {
        let path = format!("/v1/payment_intents/{intent}");
        let (_, intent) = ask_localstripe(Method::GET, &path, &Vec::new()).await;
        let charge = intent["latest_charge"].as_str();
        let charge = charge.or_else(|| intent["charges"]["data"][0]["id"].as_str());
        charge.unwrap_or_else(|| panic!("{intent}")).to_owned()
    }

    async fn customer_is_there(&self, customer: &str) -> bool {
        let path = format!("/v1/customers/{customer}");
        ask_localstripe(Method::GET, &path, &Vec::new()).await.0 == StatusCode::OK
    }

    pub async fn knows(&self, customer: &str) -> bool {
        self.customer_is_there(customer).await
    }
}

/// An event of Stripe about an object.
pub fn event(kind: &str, object: &Value) -> Value {
    let id = store::db::sea_orm::prelude::Uuid::new_v4()
        .simple()
        .to_string();
    json!({
        "id": format!("evt_{id}"), "object": "event", "type": kind,
        "created": Timestamp::now().millis() / 1000, "data": {"object": object},
    })
}

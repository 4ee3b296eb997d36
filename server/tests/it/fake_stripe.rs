//! What stands for Stripe in the tests. Customers, cards, charges and refunds are localstripe's, which was written by
//! others; what it does not know stands here: Checkout, the portal, idempotency keys, and answers that get lost.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{Secret, Timestamp};
use http_body_util::Full;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use wheelhouse::payments::stripe::Stripe;

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

/// localstripe, once for all tests of this process. It ends when its standard input does, with the process.
fn localstripe() -> &'static str {
    static RUNNING: OnceLock<(Mutex<Child>, String)> = OnceLock::new();
    let (_, base) = RUNNING.get_or_init(|| {
        let python = std::env::var("WHEELHOUSE_TEST_PYTHON")
            .expect("WHEELHOUSE_TEST_PYTHON names a Python with localstripe; bin/test sets it");
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/run_localstripe.py");
        let mut child = Command::new(python)
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("localstripe starts");
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        let base = format!("http://127.0.0.1:{}", port.trim());
        (Mutex::new(child), base)
    });
    base
}

async fn ask_localstripe(method: Method, path: &str, fields: &Fields) -> (StatusCode, Value) {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let text = serde_urlencoded::to_string(fields).unwrap();
    let (address, body) = if method == Method::POST {
        (format!("{}{path}", localstripe()), text)
    } else {
        (format!("{}{path}?{text}", localstripe()), String::new())
    };
    let request = Request::builder()
        .method(method)
        .uri(address)
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(body))
        .unwrap();
    // It may still be starting.
    let mut answer = client.request(request.clone()).await;
    for _ in 0..100 {
        if answer.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        answer = client.request(request.clone()).await;
    }
    let answer = answer.expect("localstripe answers");
    let status = answer.status();
    let body = to_bytes(Body::new(answer.into_body()), usize::MAX)
        .await
        .unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
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

    async fn open_session(&self, fields: &Fields) -> (StatusCode, Value) {
        let customer = field(fields, "customer").unwrap_or_default();
        if !self.customer_is_there(customer).await {
            return wrong("no such customer");
        }
        let amount = field(fields, "line_items[0][price_data][unit_amount]");
        let Some(amount) = amount.and_then(|amount| amount.parse::<i64>().ok()) else {
            return wrong("no amount");
        };
        let mut books = self.books.lock().unwrap();
        let id = format!("cs_test_{}_{}", books.sessions.len(), self.base.len());
        let id = format!(
            "{id}_{}",
            field(fields, "client_reference_id").unwrap_or_default()
        );
        let session = json!({
            "id": id,
            "object": "checkout.session",
            "url": format!("{}/c/pay/{id}", self.base),
            "customer": customer,
            "status": "open",
            "payment_status": "unpaid",
            "amount_total": amount,
            "currency": "usd",
            "client_reference_id": field(fields, "client_reference_id"),
            "payment_intent": null,
            "created": Timestamp::now().millis() / 1000,
        });
        books.sessions.push(session.clone());
        (StatusCode::OK, session)
    }

    async fn one_session(&self, id: &str) -> (StatusCode, Value) {
        let mut session = self.session(id);
        if session.is_null() {
            return (
                StatusCode::NOT_FOUND,
                json!({"error": {"type": "invalid_request_error"}}),
            );
        }
        if let Some(intent) = session["payment_intent"].as_str() {
            let path = format!("/v1/payment_intents/{intent}");
            session["payment_intent"] = ask_localstripe(Method::GET, &path, &Vec::new()).await.1;
        }
        (StatusCode::OK, session)
    }

    async fn act(&self, method: &Method, path: &str, mut fields: Fields) -> (StatusCode, Value) {
        match (method, path) {
            (&Method::POST, "/v1/checkout/sessions") => self.open_session(&fields).await,
            (&Method::GET, "/v1/checkout/sessions") => {
                let books = self.books.lock().unwrap();
                let customer = field(&fields, "customer").unwrap_or_default();
                let of = |one: &&Value| one["customer"] == customer;
                let data: Vec<Value> = books.sessions.iter().rev().filter(of).cloned().collect();
                (StatusCode::OK, json!({"data": data, "has_more": false}))
            }
            (&Method::GET, path) if path.starts_with("/v1/checkout/sessions/") => {
                self.one_session(path.rsplit('/').next().unwrap()).await
            }
            (&Method::POST, "/v1/billing_portal/sessions") => {
                let customer = field(&fields, "customer").unwrap_or_default();
                if !self.customer_is_there(customer).await {
                    return wrong("no such customer");
                }
                let url = format!("{}/p/session/{customer}", self.base);
                (StatusCode::OK, json!({"id": "bps_1", "url": url}))
            }
            (&Method::GET, "/v1/payment_intents") => {
                // localstripe lists those of all customers; two at a time, so that pages are turned.
                let after = field(&fields, "starting_after").map(str::to_owned);
                let all = vec![("limit".to_owned(), "100".to_owned())];
                let (status, list) = ask_localstripe(Method::GET, path, &all).await;
                let mut data = list["data"].as_array().cloned().unwrap_or_default();
                data.retain(|one| one["customer"] == *field(&fields, "customer").unwrap_or("-"));
                data.reverse();
                let begin = data
                    .iter()
                    .position(|one| after.as_deref() == one["id"].as_str());
                let mut data = data.split_off(begin.map_or(0, |at| at + 1));
                let has_more = data.len() > 2;
                data.truncate(2);
                (status, json!({"data": data, "has_more": has_more}))
            }
            (&Method::POST, "/v1/refunds") => {
                fields.retain(|(key, _)| key != "expand[]");
                let (status, mut refund) = ask_localstripe(Method::POST, path, &fields).await;
                if status == StatusCode::OK {
                    let path = format!("/v1/charges/{}", refund["charge"].as_str().unwrap());
                    refund["charge"] = ask_localstripe(Method::GET, &path, &Vec::new()).await.1;
                }
                (status, refund)
            }
            (&Method::POST, "/v1/payment_intents")
                if field(&fields, "automatic_payment_methods[allow_redirects]")
                    != Some("never") =>
            {
                wrong("a payment method might redirect: a return_url is missing")
            }
            _ => {
                // localstripe knows neither descriptions of charges nor automatic payment methods.
                fields.retain(|(key, _)| {
                    key != "description" && !key.starts_with("automatic_payment_methods[")
                });
                ask_localstripe(method.clone(), path, &fields).await
            }
        }
    }
}

fn wrong(why: &str) -> (StatusCode, Value) {
    let problem = json!({"error": {"type": "invalid_request_error", "message": why}});
    (StatusCode::BAD_REQUEST, problem)
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

async fn answer(State(stand_in): State<StandIn>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let given = |name: &str| {
        let value = head.headers.get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned)
    };
    if given("authorization") != Some(format!("Bearer {KEY}")) || given("stripe-version").is_none()
    {
        return (StatusCode::UNAUTHORIZED, "{}").into_response();
    }
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let text = if head.method == Method::POST {
        String::from_utf8(body.to_vec()).unwrap()
    } else {
        head.uri.query().unwrap_or_default().to_owned()
    };
    let fields: Fields = serde_urlencoded::from_str(&text).unwrap();
    let (method, path) = (head.method.clone(), head.uri.path().to_owned());
    let once = given("idempotency-key");
    let lost = {
        let mut books = stand_in.books.lock().unwrap();
        books
            .asked
            .push((method.clone(), path.clone(), fields.clone()));
        let hit = books
            .lose
            .filter(|(to, _)| method == Method::POST && path.ends_with(to));
        if hit.is_some() {
            books.lose = None;
        }
        hit.map(|(_, lost)| lost)
    };
    let gone = || (StatusCode::BAD_GATEWAY, "").into_response();
    let silent = method == Method::GET && stand_in.books.lock().unwrap().silent;
    if silent || lost == Some(Lost::Request) {
        return gone();
    }
    let before = once
        .as_ref()
        .and_then(|once| stand_in.books.lock().unwrap().answered.get(once).cloned());
    let (status, body) = match before {
        Some((asked, status, body)) if asked == fields => (status, body),
        Some(_) => wrong("this key came with other fields before"),
        None => {
            let (status, body) = stand_in.act(&method, &path, fields.clone()).await;
            if let Some(once) = once {
                let mut books = stand_in.books.lock().unwrap();
                books.answered.insert(once, (fields, status, body.clone()));
            }
            (status, body)
        }
    };
    if lost == Some(Lost::Answer) {
        return gone();
    }
    (status, axum::Json(body)).into_response()
}

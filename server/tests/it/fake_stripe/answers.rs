//! What the stand-in answers: Checkout, the portal and idempotency keys itself, and all else with localstripe's words.

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::Timestamp;
use serde_json::{Value, json};

use super::localstripe::ask_localstripe;
use super::{Fields, KEY, Lost, StandIn};

fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

impl StandIn {
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

pub(super) async fn answer(State(stand_in): State<StandIn>, request: Request) -> Response {
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

//! Calling server functions, with one path through the code for all of them: on the server straight to the body, in
//! the browser by one `fetch`. What `#[server]` would generate for each function on its own is a third of the WASM.

use std::future::Future;
use std::pin::Pin;

use serde::Serialize;
use serde::de::DeserializeOwned;
use server_fn::ServerFn;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, RequestInit, Response};

use crate::domain::AppError;

/// A server function of ours, by its arguments.
pub trait Call: ServerFn<Error = AppError> + Serialize + 'static {}

impl<F: ServerFn<Error = AppError> + Serialize + 'static> Call for F {}

/// What a call answers: JSON, or what went wrong.
pub type Answer = Result<String, AppError>;

/// A call under way.
pub type Calling = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Calls, and reads the answer.
pub async fn call<F>(function: F) -> Result<F::Output, AppError>
where
    F: Call,
    F::Output: Serialize + DeserializeOwned,
{
    read(&ask(function).await?)
}

pub fn read<T: DeserializeOwned>(answer: &str) -> Result<T, AppError> {
    // A page that was loaded before the server was updated may not understand it any more.
    serde_json::from_str(answer).map_err(|_| AppError::Offline)
}

/// Calls, and leaves the answer as it came.
#[cfg(feature = "ssr")]
pub fn ask<F>(function: F) -> Calling
where
    F: Call,
    F::Output: Serialize,
{
    Box::pin(async move {
        let answer = function.run_body().await?;
        serde_json::to_string(&answer)
            .map_err(|error| crate::failure::internal("an answer", &error))
    })
}

/// Calls, and leaves the answer as it came.
#[cfg(not(feature = "ssr"))]
pub fn ask<F: Call>(function: F) -> Calling {
    let body = serde_urlencoded::to_string(function).unwrap_or_default();
    Box::pin(send_wrapper::SendWrapper::new(async move {
        let body = JsValue::from_str(&body);
        let posted = post(F::PATH, &body).await?;
        if posted.good {
            Ok(posted.text)
        } else {
            Err(read(&posted.text).unwrap_or(AppError::Offline))
        }
    }))
}

/// What the server answered to a form.
pub struct Posted {
    pub text: String,
    pub good: bool,
    /// Where it leads, if elsewhere.
    pub location: Option<String>,
}

/// Posts a form's fields, as a string or as `URLSearchParams`.
pub async fn post(path: &str, body: &JsValue) -> Result<Posted, AppError> {
    try_post(path, body).await.map_err(|_| AppError::Offline)
}

async fn try_post(path: &str, body: &JsValue) -> Result<Posted, JsValue> {
    let headers = Headers::new()?;
    headers.set("Accept", "application/json")?;
    headers.set("Content-Type", "application/x-www-form-urlencoded")?;
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(body);
    let sent = leptos::prelude::window().fetch_with_str_and_init(path, &init);
    let response: Response = JsFuture::from(sent).await?.dyn_into()?;
    let text = JsFuture::from(response.text()?).await?;
    Ok(Posted {
        text: text.as_string().unwrap_or_default(),
        good: response.ok(),
        location: response.headers().get("location")?,
    })
}

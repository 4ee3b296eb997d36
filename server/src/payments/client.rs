//! The part of Stripe's API that we use: requests are forms, responses are JSON.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use domain::Secret;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::tls;

/// The API version whose formats this client reads, whatever the account's default is.
const VERSION: HeaderValue = HeaderValue::from_static("2024-06-20");
/// From the connection to the last byte. Stripe itself gives up on a bank after about 20 seconds; our requests have 30.
const DEADLINE: Duration = Duration::from_secs(25);
const MAX_READ: usize = 2 * 1024 * 1024;
const IDLE_CONNECTIONS: Duration = Duration::from_mins(1);

/// Form fields in Stripe's nested notation: `metadata[payment]`.
pub type Fields<'a> = Vec<(&'a str, String)>;

/// The API client; cheap to clone.
#[derive(Clone)]
pub struct Api {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    key: Secret,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// Why there is no usable response.
#[derive(Debug)]
pub enum Failure {
    /// The bank declined the payment (402).
    Declined,
    /// The object does not exist (404).
    Missing,
    /// The request was invalid or not allowed.
    Refused { status: StatusCode, why: String },
    /// No complete response: the request may have succeeded or not.
    Lost(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declined => write!(f, "declined"),
            Self::Missing => write!(f, "there is no such thing at Stripe"),
            Self::Refused { status, why } => write!(f, "Stripe answers {status}: {why}"),
            Self::Lost(error) => {
                write!(f, "Stripe gives no answer: {error}")?;
                let mut source = error.source();
                while let Some(cause) = source {
                    write!(f, ": {cause}")?;
                    source = cause.source();
                }
                Ok(())
            }
        }
    }
}

impl Error for Failure {}

/// docs.stripe.com/api/errors
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    error: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    message: Option<String>,
}

impl Api {
    pub fn new(base: &str, key: Secret) -> Self {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config())
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTIONS)
            .build(connector);
        Self {
            client,
            base: base.to_owned(),
            key,
        }
    }

    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        let query =
            serde_urlencoded::to_string(query).map_err(|error| Failure::Lost(error.into()))?;
        let address = format!("{}{path}?{query}", self.base);
        let request = self.request(Method::GET, &address)?;
        self.ask(request.body(Full::default())).await
    }

    /// On a repeat with the same `once`, Stripe does nothing more and returns the same response
    /// (<https://docs.stripe.com/api/idempotent_requests>).
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        once: Option<&str>,
        fields: &Fields<'_>,
    ) -> Result<T, Failure> {
        let body =
            serde_urlencoded::to_string(fields).map_err(|error| Failure::Lost(error.into()))?;
        let mut request = self
            .request(Method::POST, &format!("{}{path}", self.base))?
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(once) = once {
            request = request.header("idempotency-key", once);
        }
        self.ask(request.body(body.into())).await
    }

    pub async fn delete(&self, path: &str) -> Result<(), Failure> {
        let request = self.request(Method::DELETE, &format!("{}{path}", self.base))?;
        let gone: Result<serde_json::Value, Failure> =
            self.ask(request.body(Full::default())).await;
        match gone {
            // It was already gone.
            Ok(_) | Err(Failure::Missing) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    fn request(&self, method: Method, address: &str) -> Result<http::request::Builder, Failure> {
        let uri: Uri = address
            .parse()
            .map_err(|error: http::uri::InvalidUri| Failure::Lost(error.into()))?;
        let key = format!("Bearer {}", self.key.expose());
        let mut key = HeaderValue::from_str(&key).map_err(|error| Failure::Lost(error.into()))?;
        key.set_sensitive(true);
        Ok(Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, key)
            .header("stripe-version", VERSION))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        request: http::Result<Request<Full<Bytes>>>,
    ) -> Result<T, Failure> {
        let request = request.map_err(|error| Failure::Lost(error.into()))?;
        let ask = async {
            let response = self.client.request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_READ)
                .collect()
                .await?;
            Ok::<_, Box<dyn Error + Send + Sync>>((status, body.to_bytes()))
        };
        let (status, body) = tokio::time::timeout(DEADLINE, ask)
            .await
            .map_err(|late| Failure::Lost(late.into()))?
            .map_err(Failure::Lost)?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| Failure::Lost(error.into()));
        }
        let Problem { error } = serde_json::from_slice(&body).unwrap_or_default();
        match status {
            StatusCode::PAYMENT_REQUIRED => Err(Failure::Declined),
            StatusCode::NOT_FOUND => Err(Failure::Missing),
            _ => {
                let parts = [Some(error.kind), error.code, error.message];
                let why: Vec<String> = parts.into_iter().flatten().collect();
                Err(Failure::Refused {
                    status,
                    why: why.join(", "),
                })
            }
        }
    }
}

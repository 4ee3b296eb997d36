//! One attempt: a signed request and the part of the response that is kept. It ends at its deadline, whatever the
//! receiver does, and each failure has a name.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use domain::webhooks::Header;
use domain::{EventId, Secret, Timestamp};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::{Map, Value};
use store::webhooks::address::Policy;
use store::webhooks::attempt::AttemptResult;
use store::webhooks::signing;

use super::connector::{ConnectError, PublicOnlyConnector, Resolve};
use crate::tls;

/// From name resolution to the last byte read.
pub const DEADLINE: Duration = Duration::from_secs(15);
/// The most bytes read of a body.
const MAX_READ: usize = 20_000;
/// The maximum number and size of response headers.
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: usize = 64 * 1024;
const IDLE_CONNECTIONS: Duration = Duration::from_secs(30);
const IDLE_PER_HOST: usize = 32;
/// Replaces a hidden value.
const MASKED: &str = "••••";

/// A webhook request and its destination.
#[derive(Clone)]
pub struct DeliveryRequest {
    pub uri: Uri,
    pub secrets: Arc<[Secret]>,
    pub headers: Arc<[Header]>,
    pub event: EventId,
    pub body: Bytes,
}

/// Sends webhook requests; cheap to clone.
#[derive(Clone)]
pub struct WebhookClient {
    client: Client<HttpsConnector<PublicOnlyConnector>, Full<Bytes>>,
    deadline: Duration,
}

impl WebhookClient {
    pub fn new(resolver: Arc<dyn Resolve>, policy: Policy) -> Self {
        Self::with_deadline(resolver, policy, DEADLINE)
    }

    pub fn with_deadline(resolver: Arc<dyn Resolve>, policy: Policy, deadline: Duration) -> Self {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config())
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(PublicOnlyConnector::new(resolver, policy));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTIONS)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http1_max_headers(MAX_HEADERS)
            .http1_max_buf_size(MAX_HEADER_BYTES)
            .http2_max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
            .build(connector);
        Self { client, deadline }
    }

    pub async fn send(&self, request: &DeliveryRequest) -> AttemptResult {
        let (at, begun) = (Timestamp::now(), Instant::now());
        let body = std::str::from_utf8(&request.body).unwrap_or_default();
        let own = signing::own_headers(&request.secrets, request.event, at, body);
        let mut report = AttemptResult {
            at,
            duration: Duration::ZERO,
            status: None,
            error: None,
            retry_after: None,
            request_headers: shown(&own, &request.headers),
            response_headers: None,
            response_body: None,
        };
        let request = http_request(request, &own);
        // The response head is recorded before the body is read, so that a slow body does not hide it.
        let end = tokio::time::timeout(self.deadline, self.ask(request, &mut report)).await;
        report.error = match end {
            Ok(Ok(())) => report.status.and_then(verdict),
            Ok(Err(failure)) => Some(failure),
            Err(_) if report.status.is_some() => Some("too_slow"),
            Err(_) => Some("timeout"),
        };
        report.duration = begun.elapsed();
        report
    }

    async fn ask(
        &self,
        request: Request<Full<Bytes>>,
        report: &mut AttemptResult,
    ) -> Result<(), &'static str> {
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| name(&error))?;
        let (head, body) = response.into_parts();
        report.status = Some(head.status.as_u16());
        report.response_headers = Some(readable(&head.headers));
        report.retry_after = retry_after(head.status, &head.headers, SystemTime::now());
        report.response_body = Some(read(body).await?);
        Ok(())
    }
}

/// The error that a status stands for, or `None` for success.
fn verdict(status: u16) -> Option<&'static str> {
    match status {
        200..=299 => None,
        300..=399 => Some("redirected"),
        410 => Some("gone"),
        _ => Some("status"),
    }
}

fn http_request(
    delivery: &DeliveryRequest,
    own: &[(&'static str, String)],
) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(delivery.body.clone()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = delivery.uri.clone();
    let headers = request.headers_mut();
    for header in delivery.headers.iter() {
        if let (Ok(name), Ok(mut value)) = (
            HeaderName::from_bytes(header.name.as_bytes()),
            HeaderValue::from_str(header.value.expose()),
        ) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    // Ours last, so that no custom header replaces them.
    for (name, value) in own {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    request
}

/// Headers as the delivery log shows them. Custom headers are masked, because any of them may be a password.
fn shown(own: &[(&'static str, String)], custom: &[Header]) -> Value {
    let own = own
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
    let custom = custom
        .iter()
        .map(|header| (header.name.clone(), Value::from(MASKED)));
    Value::Object(own.chain(custom).collect())
}

fn readable(headers: &HeaderMap) -> Value {
    let mut map = Map::new();
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes()).replace('\0', "\u{fffd}");
        map.entry(name.as_str())
            .and_modify(|known| {
                if let Some(before) = known.as_str() {
                    *known = Value::from(format!("{before}, {text}"));
                }
            })
            .or_insert_with(|| Value::from(text));
    }
    Value::Object(map)
}

/// How many seconds the receiver asks to wait, for the two statuses that mean "later".
fn retry_after(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let means_later = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(http::header::RETRY_AFTER).filter(|_| means_later)?;
    if let Ok(seconds) = asked.parse() {
        return Some(seconds);
    }
    // Or a date by the receiver's clock, which may be wrong, so it is compared with the response's own date.
    let moment = httpdate::parse_http_date(asked).ok()?;
    let sent = text(http::header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    let wait = moment.duration_since(sent.unwrap_or(now));
    Some(wait.map_or(0, |wait| wait.as_secs()))
}

/// The first [`MAX_READ`] bytes. The rest is not awaited. A compressed body is not decompressed.
async fn read(mut body: Incoming) -> Result<String, &'static str> {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_READ {
        match body.frame().await {
            None => break,
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    let room = MAX_READ - bytes.len();
                    bytes.extend_from_slice(&data[..data.len().min(room)]);
                }
            }
            Some(Err(_)) => return Err("connection_lost"),
        }
    }
    // PostgreSQL text cannot contain a zero byte.
    Ok(String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}"))
}

/// Names a failure by its deepest known cause.
fn name(error: &legacy::Error) -> &'static str {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(dial) = error.downcast_ref::<ConnectError>() {
            return match dial {
                ConnectError::Unresolved => "dns_failed",
                ConnectError::Refused => "address_refused",
                ConnectError::Unreachable(_) => "connect_failed",
            };
        }
        if error.is::<rustls::Error>() {
            return "tls_failed";
        }
        // `source` of an `io::Error` skips the error that it wraps.
        let carried = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        cause = match carried {
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    if error.is_connect() {
        "connect_failed"
    } else {
        "connection_lost"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parsed wait for a response received at 12:00:00.
    fn asked(status: u16, retry_after: &str, date: Option<&str>) -> Option<u64> {
        let now = httpdate::parse_http_date("Mon, 23 Nov 2026 12:00:00 GMT").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", retry_after.parse().unwrap());
        if let Some(date) = date {
            headers.insert("date", date.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        super::retry_after(status, &headers, now)
    }

    #[test]
    fn a_receiver_may_ask_for_seconds_or_for_a_moment() {
        for status in [429, 503] {
            assert_eq!(asked(status, "120", None), Some(120));
            assert_eq!(asked(status, " 0 ", None), Some(0));
            for moment in [
                "Mon, 23 Nov 2026 12:02:00 GMT",
                "Monday, 23-Nov-26 12:02:00 GMT",
                "Mon Nov 23 12:02:00 2026",
            ] {
                assert_eq!(asked(status, moment, None), Some(120), "{moment}");
            }
        }
        for (status, text) in [(200, "120"), (500, "120"), (302, "120"), (404, "120")] {
            assert_eq!(
                asked(status, text, None),
                None,
                "{status} does not mean later"
            );
        }
        for nonsense in ["", "soon", "-5", "1.5", "23 Nov", "99999999999999999999999"] {
            assert_eq!(asked(503, nonsense, None), None, "{nonsense}");
        }
    }

    #[test]
    fn a_moment_counts_from_the_receivers_own_clock_and_one_that_is_past_is_now() {
        let moment = "Mon, 23 Nov 2026 12:02:00 GMT";
        let wrong_clock = Some("Mon, 23 Nov 2026 12:01:30 GMT");
        assert_eq!(asked(429, moment, wrong_clock), Some(30));
        assert_eq!(asked(429, moment, Some("yesterday")), Some(120));
        assert_eq!(asked(429, "Mon, 23 Nov 2026 11:00:00 GMT", None), Some(0));
    }
}

//! Idempotency of POST requests. A client that sends `Idempotency-Key` and gets no response can retry: the effect of the
//! first request and its stored response are one transaction, so that there is either both or neither, and a second
//! request, even at the same moment, gets the response to the first.

use axum::extract::OriginalUri;
use axum::http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use domain::ApiKeyId;
use serde::Serialize;
use sha2::{Digest, Sha256};
use store::auth::ApiKeyPrincipal;
use store::context::AppContext;
use store::db::Tx;
use store::idempotency::{EarlierRequest, RequestFingerprint};

use super::problem::{IDEMPOTENCY, Problem};

/// The header that names a request.
pub const HEADER: &str = "idempotency-key";
/// Marks a response that was sent before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key, in bytes.
pub const MAX_LEN: usize = 255;

/// The idempotency key of a request, if it has one.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(Option<RequestFingerprint>);

/// The outcome of claiming an idempotency key.
pub enum Outcome {
    /// The request was completed before: this is its response.
    Replay(Response),
    /// The request is new.
    Proceed(IdempotentTx),
}

/// The transaction of a request. Dropping it rolls it back.
pub struct IdempotentTx {
    tx: Tx,
    ctx: AppContext,
    mark: Option<RequestFingerprint>,
}

impl IdempotencyKey {
    pub fn read(parts: &Parts, body: &[u8]) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let name = value.to_str().unwrap_or_default();
        let good =
            (1..=MAX_LEN).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        if !good || values.next().is_some() {
            return Err(Problem::field(
                "Idempotency-Key",
                format!("Send one string of 1 to {MAX_LEN} visible ASCII characters"),
            ));
        }
        let key = parts.extensions.get::<ApiKeyPrincipal>();
        let key = key.ok_or_else(Problem::no_key)?.facts().id;
        Ok(Self(Some(RequestFingerprint {
            key,
            name: name.to_owned(),
            fingerprint: fingerprint(parts, body),
        })))
    }

    /// The reference of this request in the ledger, which is kept longer than responses.
    pub fn name(&self) -> Option<String> {
        self.0.as_ref().map(RequestFingerprint::context)
    }

    /// Claims the client's key for a request whose response must never be replayed.
    pub async fn only_for_this(self, ctx: &AppContext) -> Result<(), Problem> {
        let Some(mark) = self.0 else { return Ok(()) };
        let tx = ctx.db().begin().await?;
        if !mark.claim(&tx).await?
            && let EarlierRequest::Different = mark.earlier(&tx, ctx).await?
        {
            return Err(different());
        }
        Ok(tx.commit().await?)
    }

    /// Begins the transaction, or finds the response of an earlier request. The effect must go through
    /// [`IdempotentTx::tx`] only: waiting for a second connection while others wait for this one could deadlock.
    pub async fn begin(self, ctx: &AppContext) -> Result<Outcome, Problem> {
        let tx = ctx.db().begin().await?;
        if let Some(mark) = &self.0
            && !mark.claim(&tx).await?
        {
            let earlier = mark.earlier(&tx, ctx).await?;
            return replay(mark.key, earlier).map(Outcome::Replay);
        }
        Ok(Outcome::Proceed(IdempotentTx {
            tx,
            ctx: ctx.clone(),
            mark: self.0,
        }))
    }
}

/// Method, path and body: the same key with different ones is a client error.
fn fingerprint(parts: &Parts, body: &[u8]) -> Vec<u8> {
    let uri = parts
        .extensions
        .get::<OriginalUri>()
        .map_or(&parts.uri, |uri| &uri.0);
    let mut hash = Sha256::new();
    hash.update(parts.method.as_str());
    hash.update([0]);
    hash.update(uri.path());
    hash.update([0]);
    hash.update(body);
    hash.finalize().to_vec()
}

/// The response to the first request with this key.
fn replay(key: ApiKeyId, earlier: EarlierRequest) -> Result<Response, Problem> {
    match earlier {
        EarlierRequest::Completed { status, body } => {
            let status = StatusCode::from_u16(status).map_err(|_| again())?;
            let mut response = json(status, body);
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        EarlierRequest::Running => Err(again()),
        EarlierRequest::Different => Err(different()),
        EarlierRequest::Unreadable => Err(unreadable(key)),
    }
}

impl IdempotentTx {
    /// The transaction of the request.
    pub fn tx(&mut self) -> &mut Tx {
        &mut self.tx
    }

    /// Stores the response in the same transaction, commits, and returns it.
    pub async fn keep<T: Serialize>(
        self,
        status: StatusCode,
        body: &T,
    ) -> Result<Response, Problem> {
        let body = serde_json::to_vec(body).map_err(|error| {
            tracing::error!(%error, "cannot serialize a response as JSON");
            Problem::new(
                super::problem::INTERNAL,
                "Something went wrong on our side. Try again later.",
            )
        })?;
        if let Some(mark) = &self.mark {
            mark.store(&self.tx, &self.ctx, status.as_u16(), &body)
                .await?;
        }
        self.tx.commit().await?;
        Ok(json(status, body))
    }
}

fn different() -> Problem {
    Problem::new(
        IDEMPOTENCY,
        "This Idempotency-Key was used for another request. Send a new one.",
    )
}

fn unreadable(key: ApiKeyId) -> Problem {
    tracing::error!(%key, "cannot decrypt a stored response: was it encrypted with another WHEELHOUSE_SECRET_KEY?");
    Problem::new(
        super::problem::INTERNAL,
        "This request was completed before, but its response can no longer be read. Don't send it again with a new key.",
    )
}

fn again() -> Problem {
    Problem::new(
        IDEMPOTENCY,
        "The first request with this key is still running. Try again.",
    )
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

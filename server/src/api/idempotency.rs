//! Idempotency of POST requests. A client that sends `Idempotency-Key` and gets no response can retry: the effect of the
//! first request and its stored response are one transaction, so that there is either both or neither, and a second
//! request, even at the same moment, gets the response to the first.
//!
//! The claim is a row with the client's key in the transaction that does the work. On PostgreSQL, a second claim waits for
//! the first to end; on SQLite, the whole transaction waits. An error rolls back the claim with everything else, so a
//! corrected request can use the same key.

use std::time::Duration;

use axum::extract::OriginalUri;
use axum::http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use domain::{ApiKeyId, Timestamp, hours};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};
use serde::Serialize;
use sha2::{Digest, Sha256};
use store::auth::ApiKeyPrincipal;
use store::context::AppContext;
use store::db::Tx;
use store::db::entity;
use store::db::entity::idempotency_key::{self, Column};

use super::problem::{IDEMPOTENCY, Problem};

/// The header that names a request.
pub const HEADER: &str = "idempotency-key";
/// Marks a response that was sent before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key, in bytes.
pub const MAX_LEN: usize = 255;
/// How long a response is stored.
const KEPT: Duration = hours(24);

/// The idempotency key of a request, if it has one.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(Option<RequestFingerprint>);

/// Identifies a request.
#[derive(Clone, Debug)]
struct RequestFingerprint {
    key: ApiKeyId,
    name: String,
    fingerprint: Vec<u8>,
}

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
        if !mark.take(&tx).await? {
            mark.first(&tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Begins the transaction, or finds the response of an earlier request. The effect must go through
    /// [`IdempotentTx::tx`] only: waiting for a second connection while others wait for this one could deadlock.
    pub async fn begin(self, ctx: &AppContext) -> Result<Outcome, Problem> {
        let tx = ctx.db().begin().await?;
        if let Some(mark) = &self.0
            && !mark.take(&tx).await?
        {
            return mark.answer(&tx, ctx).await.map(Outcome::Replay);
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

impl RequestFingerprint {
    fn row(&self) -> sea_orm::Condition {
        sea_orm::Condition::all()
            .add(Column::KeyId.eq(self.key))
            .add(Column::IdempotencyKey.eq(self.name.as_str()))
    }

    /// Whether this is the first request with this key.
    async fn take(&self, tx: &impl ConnectionTrait) -> Result<bool, Problem> {
        let now = Timestamp::now();
        entity::IdempotencyKey::delete_many()
            .filter(self.row())
            .filter(Column::CreatedAt.lt(now.before(KEPT)))
            .exec(tx)
            .await?;
        let row = idempotency_key::ActiveModel {
            key_id: Set(self.key),
            idempotency_key: Set(self.name.clone()),
            fingerprint: Set(self.fingerprint.clone()),
            status: Set(None),
            body: Set(None),
            created_at: Set(now),
        };
        let taken = entity::IdempotencyKey::insert(row)
            .on_conflict(
                OnConflict::columns([Column::KeyId, Column::IdempotencyKey])
                    .do_nothing()
                    .to_owned(),
            )
            .exec_without_returning(tx)
            .await?;
        Ok(taken == 1)
    }

    /// The first request with this key, which must be the same request.
    async fn first(&self, tx: &impl ConnectionTrait) -> Result<idempotency_key::Model, Problem> {
        let row = entity::IdempotencyKey::find()
            .filter(self.row())
            .one(tx)
            .await?
            .ok_or_else(again)?;
        if row.fingerprint != self.fingerprint {
            return Err(Problem::new(
                IDEMPOTENCY,
                "This Idempotency-Key was used for another request. Send a new one.",
            ));
        }
        Ok(row)
    }

    /// The response to the first request with this key.
    async fn answer(
        &self,
        tx: &impl ConnectionTrait,
        ctx: &AppContext,
    ) -> Result<Response, Problem> {
        let row = self.first(tx).await?;
        let status = row
            .status
            .and_then(|status| u16::try_from(status).ok())
            .and_then(|status| StatusCode::from_u16(status).ok());
        let open = |sealed: Vec<u8>| {
            let master_key = ctx.master_key();
            let body = master_key.decrypt(idempotency_key::PURPOSE, &self.context(), &sealed);
            body.ok_or_else(|| unreadable(self.key))
        };
        let body = row.body.map(open).transpose()?;
        let (status, body) = status.zip(body).ok_or_else(again)?;
        let mut response = json(status, body);
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }

    fn context(&self) -> String {
        idempotency_key::context(self.key, &self.name)
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
            let sealed =
                self.ctx
                    .master_key()
                    .encrypt(idempotency_key::PURPOSE, &mark.context(), &body);
            entity::IdempotencyKey::update_many()
                .col_expr(Column::Status, Expr::value(i32::from(status.as_u16())))
                .col_expr(Column::Body, Expr::value(sealed))
                .filter(mark.row())
                .exec(&self.tx)
                .await?;
        }
        self.tx.commit().await?;
        Ok(json(status, body))
    }
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

//! Stored responses to requests with an idempotency key. The claim is a row with the client's key in the transaction that
//! does the work. On PostgreSQL, a second claim waits for the first to end; on SQLite, the whole transaction waits. An
//! error rolls back the claim with everything else, so a corrected request can use the same key.

use std::time::Duration;

use domain::{ApiKeyId, AppError, Timestamp, hours};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, Set};

use crate::context::AppContext;
use crate::db::entity::idempotency_key::{self, Column};
use crate::db::{Tx, entity};

/// How long a response is stored.
const KEPT: Duration = hours(24);

/// Identifies a request.
#[derive(Clone, Debug)]
pub struct RequestFingerprint {
    pub key: ApiKeyId,
    /// The idempotency key, as the client sent it.
    pub name: String,
    /// A hash of what the client requests: the same key with another one is a client error.
    pub fingerprint: Vec<u8>,
}

/// An earlier request with the same key.
#[derive(Debug)]
pub enum EarlierRequest {
    /// It completed with this status and body.
    Completed { status: u16, body: Vec<u8> },
    /// It is still running, or has just failed.
    Running,
    /// It was another request.
    Different,
    /// Its response cannot be decrypted.
    Unreadable,
}

impl RequestFingerprint {
    fn row(&self) -> Condition {
        Condition::all()
            .add(Column::KeyId.eq(self.key))
            .add(Column::IdempotencyKey.eq(self.name.as_str()))
    }

    /// The context of encryption, and the request's reference in the ledger.
    pub fn context(&self) -> String {
        idempotency_key::context(self.key, &self.name)
    }

    /// Claims the key. Returns whether this is the first request with it.
    pub async fn claim(&self, tx: &Tx) -> Result<bool, AppError> {
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

    /// What became of the first request with this key.
    pub async fn earlier(&self, tx: &Tx, ctx: &AppContext) -> Result<EarlierRequest, AppError> {
        let row = entity::IdempotencyKey::find()
            .filter(self.row())
            .one(tx)
            .await?;
        let Some(row) = row else {
            return Ok(EarlierRequest::Running);
        };
        if row.fingerprint != self.fingerprint {
            return Ok(EarlierRequest::Different);
        }
        let status = row.status.and_then(|status| u16::try_from(status).ok());
        let Some((status, sealed)) = status.zip(row.body) else {
            return Ok(EarlierRequest::Running);
        };
        let master_key = ctx.master_key();
        let body = master_key.decrypt(idempotency_key::PURPOSE, &self.context(), &sealed);
        Ok(body.map_or(EarlierRequest::Unreadable, |body| {
            EarlierRequest::Completed { status, body }
        }))
    }

    /// Stores the response, encrypted.
    pub async fn store(
        &self,
        tx: &Tx,
        ctx: &AppContext,
        status: u16,
        body: &[u8],
    ) -> Result<(), AppError> {
        let master_key = ctx.master_key();
        let sealed = master_key.encrypt(idempotency_key::PURPOSE, &self.context(), body);
        entity::IdempotencyKey::update_many()
            .col_expr(Column::Status, Expr::value(i32::from(status)))
            .col_expr(Column::Body, Expr::value(sealed))
            .filter(self.row())
            .exec(tx)
            .await?;
        Ok(())
    }
}

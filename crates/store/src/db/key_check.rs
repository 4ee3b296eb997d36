//! Checks which key a database belongs to. The database stores a check value, made with the key and useless without it,
//! so that a program with another key stops instead of encrypting data that nobody else can decrypt.

use domain::{ApiKeyId, EmailId, Timestamp, WebhookId};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use super::Db;
use super::entity::idempotency_key;
use crate::email;
use crate::master_key::MasterKey;
use crate::webhooks::signing;

const PURPOSE: &str = "installation";
const MESSAGE: &[u8] = b"key check";
/// How many rows of each kind to try. One may be damaged, or date from a time when two keys were in use.
const SAMPLES: u64 = 20;

/// Data that stays encrypted with the key for longer than a moment.
struct Sealed {
    table: &'static str,
    /// The ciphertext is the last column. The columns before it are the encryption context.
    rows: &'static str,
    purpose: &'static str,
    context: fn(&QueryResult) -> Result<String, DbErr>,
}

const SEALED: [Sealed; 4] = [
    Sealed {
        table: "webhooks",
        rows: "SELECT id, secret FROM webhooks ORDER BY id DESC",
        purpose: signing::SECRET_PURPOSE,
        context: |row| Ok(row.try_get_by_index::<WebhookId>(0)?.to_string()),
    },
    Sealed {
        table: "outbox_emails",
        rows: "SELECT id, body_text FROM outbox_emails WHERE length(body_text) > 0 ORDER BY id DESC",
        purpose: email::TEXT_PURPOSE,
        context: |row| Ok(row.try_get_by_index::<EmailId>(0)?.to_string()),
    },
    // The former name of that table.
    Sealed {
        table: "mails",
        rows: "SELECT id, body_text FROM mails WHERE length(body_text) > 0 ORDER BY id DESC",
        purpose: email::TEXT_PURPOSE,
        context: |row| Ok(row.try_get_by_index::<EmailId>(0)?.to_string()),
    },
    Sealed {
        table: "idempotency_keys",
        rows: "SELECT key_id, idempotency_key, body FROM idempotency_keys WHERE body IS NOT NULL \
               ORDER BY created_at DESC",
        purpose: idempotency_key::PURPOSE,
        context: |row| {
            let key: ApiKeyId = row.try_get_by_index(0)?;
            Ok(idempotency_key::context(
                key,
                &row.try_get_by_index::<String>(1)?,
            ))
        },
    },
];

impl Sealed {
    fn opens(&self, key: &MasterKey, row: &QueryResult) -> Result<bool, DbErr> {
        let last = row.column_names().len() - 1;
        let sealed: Vec<u8> = row.try_get_by_index(last)?;
        let context = (self.context)(row)?;
        Ok(key.decrypt(self.purpose, &context, &sealed).is_some())
    }
}

/// What a database says about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyCheck {
    /// The key is right.
    Right,
    /// The database belongs to another key.
    Wrong,
    /// Nothing depends on a key yet.
    Free,
}

/// Checks whether this database belongs to `key`; without a key, whether it belongs to any. The tables may be of an
/// older version or missing.
pub async fn check(db: &Db, key: Option<&MasterKey>) -> Result<KeyCheck, DbErr> {
    let read = db.read();
    if has_table(read, "installation").await? {
        let row = one(read, "SELECT key_check FROM installation").await?;
        if let Some(row) = row {
            let value: String = row.try_get_by_index(0)?;
            return Ok(verdict(
                key.is_some_and(|key| key.is_mac(PURPOSE, MESSAGE, &value)),
            ));
        }
    }
    // A database older than the check value: the key is right if it decrypts the encrypted data.
    let (mut found, mut opened) = (false, false);
    for sealed in &SEALED {
        if !has_table(read, sealed.table).await? {
            continue;
        }
        let sql = format!("{} LIMIT {SAMPLES}", sealed.rows);
        for row in read
            .query_all_raw(Statement::from_string(db.backend(), sql))
            .await?
        {
            found = true;
            opened |= key.is_some_and(|key| sealed.opens(key, &row).unwrap_or(false));
        }
    }
    if found {
        return Ok(verdict(opened));
    }
    // The link of an invitation is made with the key but not stored. It proves that a key exists, but not which one.
    let open =
        "SELECT 1 FROM invitations WHERE accepted_at IS NULL AND cancelled_at IS NULL LIMIT 1";
    let promised = has_table(read, "invitations").await? && one(read, open).await?.is_some();
    Ok(if promised && key.is_none() {
        KeyCheck::Wrong
    } else {
        KeyCheck::Free
    })
}

const fn verdict(right: bool) -> KeyCheck {
    if right {
        KeyCheck::Right
    } else {
        KeyCheck::Wrong
    }
}

/// Records that this database belongs to `key`, unless it already belongs to a key.
pub async fn record(db: &Db, key: &MasterKey) -> Result<(), DbErr> {
    let sql = "INSERT INTO installation (id, key_check, created_at) VALUES (1, $1, $2) ON CONFLICT DO NOTHING";
    let values = [
        key.mac(PURPOSE, MESSAGE).into(),
        Timestamp::now().millis().into(),
    ];
    let insert = Statement::from_sql_and_values(db.backend(), sql, values);
    db.changes.write(insert).await
}

async fn one(read: &impl ConnectionTrait, sql: &str) -> Result<Option<QueryResult>, DbErr> {
    let statement = Statement::from_string(read.get_database_backend(), sql);
    read.query_one_raw(statement).await
}

async fn has_table(read: &impl ConnectionTrait, table: &str) -> Result<bool, DbErr> {
    let sql = match read.get_database_backend() {
        DbBackend::Postgres => format!("SELECT 1 WHERE to_regclass('{table}') IS NOT NULL"),
        _ => format!("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '{table}'"),
    };
    Ok(one(read, &sql).await?.is_some())
}

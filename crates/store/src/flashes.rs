//! Stores responses to forms without script until the next page: in the database, so that any process that serves that
//! page has them.
//!
//! A response may contain a secret that is shown once. It is encrypted; its id is a random token that only the
//! browser's cookie holds; it is deleted when it is delivered, or after two minutes. Nobody can fill the table: each
//! sender has a quota, and people who are not signed in share one of their own, so they cannot push out anyone who is.

use std::time::Duration;

use domain::form::Flash;
use domain::{AppError, Secret, Timestamp, minutes};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult,
    PaginatorTrait, QueryFilter, QuerySelect, Set, Statement,
};
use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::context::AppContext;
use crate::db::entity;
use crate::db::entity::flash::Column;
use crate::master_key::{Token, hash_token};
use crate::rate_limit::network::network;

/// How long a response is kept.
pub const LIFE: Duration = minutes(2);
/// How much typed text one response keeps; beyond that, the longest fields are dropped.
const MAX_TYPED: usize = 64 * 1024;
/// Maximum size of one response; none of our forms produces a larger one.
const MAX_BYTES: usize = 96 * 1024;
/// Quota of one person, or of one network if nobody is signed in. The oldest are dropped.
pub const ROOM_OF_ONE: Room = Room {
    answers: 20,
    bytes: 256 * 1024,
};
/// Total quota of everyone who is signed in.
pub const ROOM_SIGNED_IN: Room = Room {
    answers: 10_000,
    bytes: 64 * 1024 * 1024,
};
/// Total quota of everyone who is not signed in.
pub const ROOM_SIGNED_OUT: Room = Room {
    answers: 2_000,
    bytes: 8 * 1024 * 1024,
};
const PURPOSE: &str = "flash";
const OWNER: &str = "flash owner";

/// A quota: how many responses, and how many bytes in total.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    pub answers: i64,
    pub bytes: i64,
}

/// Whose quota a response uses. The table contains nobody's address.
#[derive(Clone, Debug)]
pub struct Owner {
    tag: String,
    signed_in: bool,
}

impl Owner {
    /// The sender of a request: a user if their session was looked up, otherwise a network.
    pub async fn of(caller: &Caller) -> Self {
        let (name, signed_in) = match caller.seen().await {
            Some(seen) => (seen.person.id().to_string(), true),
            None => (network(caller.info().address), false),
        };
        let master_key = caller.ctx().master_key();
        Self {
            tag: master_key.mac(OWNER, name.as_bytes()),
            signed_in,
        }
    }
}

/// What is encrypted.
#[derive(Serialize, Deserialize)]
struct StoredFlash {
    /// The path of the page that can take it. It may contain a token, for example an invitation's.
    page: String,
    flash: Flash,
}

/// What is stored under an id.
#[derive(Debug)]
pub enum Found {
    Here(Box<Flash>),
    ForAnother,
    Nothing,
}

/// Stores a response for a page, and returns the id for the browser; nothing if it is too large.
pub async fn insert(
    ctx: &AppContext,
    owner: &Owner,
    page: &str,
    mut flash: Flash,
) -> Result<Option<Secret>, AppError> {
    trim(&mut flash.typed);
    let page = path_of(page).to_owned();
    let plain = serde_json::to_vec(&StoredFlash { page, flash })
        .map_err(|error| domain::internal("writing an answer down", &error))?;
    if plain.len() > MAX_BYTES {
        tracing::warn!(
            bytes = plain.len(),
            "an answer to a form was too large to keep"
        );
        return Ok(None);
    }
    let (id, now) = (Token::generate(), Timestamp::now());
    let sealed = ctx
        .master_key()
        .encrypt(PURPOSE, &context(&id.hash()), &plain);
    let row = entity::flash::ActiveModel {
        id: Set(id.hash()),
        owner: Set(owner.tag.clone()),
        signed_in: Set(owner.signed_in),
        bytes: Set(i32::try_from(sealed.len()).unwrap_or(i32::MAX)),
        sealed: Set(sealed),
        created_at: Set(now),
        expires_at: Set(now.after(LIFE)),
    };
    let tx = ctx.db().begin().await?;
    row.insert(&tx).await?;
    let own = ("owner", owner.tag.as_str().into());
    make_room(&tx, own, ROOM_OF_ONE).await?;
    tx.commit().await?;
    if let Err(error) = make_room_for_all(ctx, owner.signed_in).await {
        // The response is stored anyway; the next one tries again.
        tracing::warn!(%error, "old answers to forms could not be removed");
    }
    Ok(Some(id.plain().clone()))
}

/// Delivers a response to its page exactly once, even if several requests compete. Another page leaves it in place.
pub async fn take(ctx: &AppContext, id: &str, page: &str) -> Result<Found, AppError> {
    let hash = hash_token(id);
    let row = entity::Flash::find_by_id(hash.clone())
        .filter(Column::ExpiresAt.gt(Timestamp::now()))
        .one(ctx.db().read())
        .await?;
    let Some(row) = row else {
        return Ok(Found::Nothing);
    };
    let kept = ctx
        .master_key()
        .decrypt(PURPOSE, &context(&hash), &row.sealed)
        .and_then(|plain| serde_json::from_slice::<StoredFlash>(&plain).ok());
    let Some(kept) = kept else {
        tracing::error!(
            "the answer to a form cannot be read: was it written with another WHEELHOUSE_SECRET_KEY or version?"
        );
        return Ok(Found::Nothing);
    };
    if kept.page != page {
        return Ok(Found::ForAnother);
    }
    let tx = ctx.db().begin().await?;
    let taken = entity::Flash::delete_by_id(hash).exec(&tx).await?;
    tx.commit().await?;
    Ok(if taken.rows_affected == 1 {
        Found::Here(Box::new(kept.flash))
    } else {
        Found::Nothing
    })
}

/// Removes what was never delivered.
pub async fn sweep(ctx: &AppContext) -> Result<u64, AppError> {
    let expired = Column::ExpiresAt.lte(Timestamp::now());
    let waiting = entity::Flash::find().filter(expired.clone());
    if waiting.count(ctx.db().read()).await? == 0 {
        return Ok(0);
    }
    let tx = ctx.db().begin().await?;
    let removed = entity::Flash::delete_many()
        .filter(expired)
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(removed.rows_affected)
}

/// Everything that is stored.
#[derive(Debug, FromQueryResult)]
struct Sum {
    answers: i64,
    bytes: Option<i64>,
}

async fn make_room_for_all(ctx: &AppContext, signed_in: bool) -> Result<(), AppError> {
    let room = if signed_in {
        ROOM_SIGNED_IN
    } else {
        ROOM_SIGNED_OUT
    };
    let sum = entity::Flash::find()
        .select_only()
        .column_as(Column::Id.count(), "answers")
        .column_as(Column::Bytes.sum(), "bytes")
        .filter(Column::SignedIn.eq(signed_in))
        .into_model::<Sum>()
        .one(ctx.db().read())
        .await?;
    let full = sum.is_some_and(|sum| {
        sum.answers > room.answers || sum.bytes.unwrap_or_default() > room.bytes
    });
    if !full {
        return Ok(());
    }
    // A tenth more than needed, so that not every response in a flood scans all of them.
    let less = Room {
        answers: room.answers - room.answers / 10,
        bytes: room.bytes - room.bytes / 10,
    };
    let tx = ctx.db().begin().await?;
    make_room(&tx, ("signed_in", signed_in.into()), less).await?;
    tx.commit().await
}

/// Removes the oldest rows with this value in `column` until they fit.
async fn make_room(
    tx: &impl ConnectionTrait,
    (column, value): (&str, sea_orm::Value),
    room: Room,
) -> Result<(), DbErr> {
    let sql = format!(
        "DELETE FROM flashes WHERE {column} = $1 AND id NOT IN (
            SELECT id FROM (
                SELECT id, row_number() OVER newest AS place, sum(bytes) OVER newest AS total
                FROM flashes WHERE {column} = $2
                WINDOW newest AS (ORDER BY created_at DESC, id ROWS UNBOUNDED PRECEDING)
            ) AS placed
            WHERE place <= $3 AND total <= $4
        )"
    );
    let values = [value.clone(), value, room.answers.into(), room.bytes.into()];
    let delete = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    tx.execute_raw(delete).await.map(drop)
}

/// Encrypted bytes that are moved to another row cannot be decrypted there.
fn context(hash: &[u8]) -> String {
    format!("{hash:02x?}")
}

/// Drops the longest fields until the rest is small enough.
fn trim(typed: &mut Vec<(String, String)>) {
    let length = |(name, value): &(String, String)| name.len() + value.len();
    let mut sum: usize = typed.iter().map(length).sum();
    while sum > MAX_TYPED {
        let longest = (0..typed.len()).max_by_key(|&at| length(&typed[at]));
        let Some(longest) = longest else {
            break;
        };
        sum -= length(&typed.remove(longest));
    }
}

/// A path without query and fragment.
fn path_of(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_text_is_left_out_first() {
        let mut typed = vec![
            ("form[description]".to_owned(), "x".repeat(200_000)),
            ("form[name]".to_owned(), "Mia".to_owned()),
            ("form[notes]".to_owned(), "y".repeat(10_000)),
        ];
        trim(&mut typed);
        let names: Vec<&str> = typed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["form[name]", "form[notes]"]);
    }
}

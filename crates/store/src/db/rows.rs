//! Reads lists for people and programs. A row that cannot be read, such as one from a newer version, is skipped and
//! logged. The other rows are shown.

use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, QueryResult, TryGetableMany};

/// The minimum number of rows to fetch as replacements for unreadable rows.
const MIN_REFILL: u64 = 100;
/// The maximum number of refills for one list.
const MAX_REFILLS: usize = 100;

/// Every readable row.
pub async fn every<M: FromQueryResult>(
    query: SelectStatement,
    db: &impl ConnectionTrait,
) -> Result<Vec<M>, DbErr> {
    let rows = db.query_all(&query).await?;
    Ok(rows.iter().filter_map(model).collect())
}

/// The first `limit` readable rows. There are fewer only if the list ends.
pub async fn up_to<M: FromQueryResult>(
    limit: u64,
    query: SelectStatement,
    db: &impl ConnectionTrait,
) -> Result<Vec<M>, DbErr> {
    readable(limit, query, db, model).await
}

/// The same for columns that are read by position.
pub async fn tuples_up_to<T: TryGetableMany>(
    limit: u64,
    query: SelectStatement,
    db: &impl ConnectionTrait,
) -> Result<Vec<T>, DbErr> {
    readable(limit, query, db, |row| {
        logged(row, T::try_get_many_by_index(row).map_err(DbErr::from))
    })
    .await
}

/// The page out of up to one row more than it holds, and whether another page follows: that shows without counting.
pub fn page_of<T>(mut rows: Vec<T>, limit: u64) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    (rows, more)
}

async fn readable<T>(
    limit: u64,
    mut query: SelectStatement,
    db: &impl ConnectionTrait,
    read: impl Fn(&QueryResult) -> Option<T>,
) -> Result<Vec<T>, DbErr> {
    let limit_rows = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut found, mut seen, mut ask) = (Vec::new(), 0, limit);
    for _ in 0..MAX_REFILLS {
        query.limit(ask);
        if seen > 0 {
            query.offset(seen);
        }
        let rows = db.query_all(&query).await?;
        found.extend(rows.iter().filter_map(&read));
        let came = rows.len() as u64;
        seen += came;
        if found.len() >= limit_rows || came < ask {
            break;
        }
        ask = MIN_REFILL.max(limit);
    }
    found.truncate(limit_rows);
    Ok(found)
}

fn model<M: FromQueryResult>(row: &QueryResult) -> Option<M> {
    logged(row, M::from_query_result(row, ""))
}

fn logged<T>(row: &QueryResult, read: Result<T, DbErr>) -> Option<T> {
    read.map_err(|error| {
        let id: Option<uuid::Uuid> = row.try_get("", "id").ok();
        tracing::error!(?id, %error, "a row cannot be read and is left out of a list");
    })
    .ok()
}

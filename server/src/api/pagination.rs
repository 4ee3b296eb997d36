//! Pagination of lists: `limit` and `cursor` in, `data` and `next_cursor` out.

use std::fmt::Display;
use std::str::FromStr;

use axum::Json;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use store::db::rows::page_of;
use utoipa::{IntoParams, ToSchema};

use super::extract::QueryParams;
use super::problem::Problem;

/// The default and the maximum page size.
const USUAL: u64 = 25;
const MAX_COUNT: u64 = 100;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListPage<T> {
    pub data: Vec<T>,
    /// Cursor of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// The requested part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest<I> {
    pub limit: u64,
    /// The last item of the previous page.
    pub after: Option<I>,
}

/// The parameters of every list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "names the parameters in the documentation; `QueryParams` reads them"
)]
pub struct PageParams {
    /// Maximum number of results.
    #[param(minimum = 1, maximum = 100, default = 25, required = false)]
    limit: u32,
    /// `next_cursor` from the previous page.
    #[param(required = false)]
    cursor: String,
}

impl<I: FromStr> PageRequest<I> {
    pub fn read(params: &QueryParams) -> Result<Self, Problem> {
        let limit = match params.one("limit")? {
            None => USUAL,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_COUNT).contains(limit))
                .ok_or_else(|| {
                    Problem::field("limit", format!("Enter a number from 1 to {MAX_COUNT}"))
                })?,
        };
        let after = params.one("cursor")?.map(|text| {
            decode(text).ok_or_else(|| {
                Problem::field("cursor", "Use the next_cursor of a page of this list")
            })
        });
        Ok(Self {
            limit,
            after: after.transpose()?,
        })
    }

    /// One more than the page holds: whether there is another page shows without counting.
    pub fn one_more(&self) -> u64 {
        self.limit + 1
    }

    /// The page out of up to [`PageRequest::one_more`] rows.
    pub fn page<T, D: Display>(&self, rows: Vec<T>, id: impl Fn(&T) -> D) -> Json<ListPage<T>> {
        let (rows, more) = page_of(rows, self.limit);
        let next = rows.last().filter(|_| more).map(id);
        list_page(rows, next)
    }
}

/// A page of a list, whose next page begins after `next`.
pub fn list_page<T, D: Display>(data: Vec<T>, next: Option<D>) -> Json<ListPage<T>> {
    Json(ListPage {
        next_cursor: next.map(|id| URL_SAFE_NO_PAD.encode(id.to_string())),
        data,
    })
}

fn decode<I: FromStr>(text: &str) -> Option<I> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    String::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{ContactId, MembershipId};

    #[test]
    fn a_cursor_leads_on_and_another_lists_does_not() {
        let ids: Vec<ContactId> = (0..3).map(|_| ContactId::new()).collect();
        let slice = PageRequest::<ContactId> {
            limit: 2,
            after: None,
        };
        let Json(page) = slice.page(ids.clone(), |id| *id);
        assert_eq!(page.data, ids[..2]);
        let cursor = page.next_cursor.unwrap();
        assert_eq!(decode::<ContactId>(&cursor), Some(ids[1]));
        assert_eq!(decode::<MembershipId>(&cursor), None);
        assert_eq!(decode::<ContactId>("*"), None);

        let Json(last) = slice.page(ids[..2].to_vec(), |id| *id);
        assert_eq!(last.next_cursor, None);
    }
}

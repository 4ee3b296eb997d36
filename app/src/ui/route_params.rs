//! Route parameters: what a page reads from its URL.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

/// The slug of the current workspace. It follows when the workspace's URL changes, and keeps its value while the
/// workspace's pages are being left.
pub fn use_slug() -> Memo<String> {
    let path = use_location().pathname;
    Memo::new(move |before: Option<&String>| {
        path.with(|path| {
            path.strip_prefix("/w/")
                .and_then(|rest| rest.split('/').next())
                .map(str::to_owned)
                .or_else(|| before.cloned())
                .unwrap_or_default()
        })
    })
}

/// The last part of the current path: a key's id, an invitation's token.
pub fn last_part() -> String {
    let path = use_location().pathname;
    path.with_untracked(|path| {
        path.trim_end_matches('/')
            .rsplit('/')
            .next()
            .map(str::to_owned)
    })
    .unwrap_or_default()
}

/// The value of this query parameter in the visible URL, or nothing. The router's own `use_query_map` belongs to the
/// route; all pages here are one route, which only notices new queries of the same path.
pub fn use_asked(name: &'static str) -> Memo<String> {
    let query = use_location().query;
    Memo::new(move |_| query.with(|query| query.get(name).unwrap_or_default()))
}

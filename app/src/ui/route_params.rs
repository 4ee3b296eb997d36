//! Where one is: what a page reads from its address.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

/// The slug of the workspace whose pages these are. It follows when the workspace moves, and stays what it was while
/// its pages are being left.
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

/// The last part of the address as it is now: a key's id, an invitation's token.
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

/// What the address's query says of this, or nothing. Of the address that is shown: the router's own `use_query_map` is
/// that of the route, and every page here is of one route, which the router tells of new queries of the same path alone.
pub fn use_asked(name: &'static str) -> Memo<String> {
    let query = use_location().query;
    Memo::new(move |_| query.with(|query| query.get(name).unwrap_or_default()))
}

//! Lists whose rows stay in place.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::view::view;
use leptos::prelude::*;

/// A row that is still to be drawn, and what tells it from every other.
type Row = (u64, Arc<dyn Fn() -> AnyView + Send + Sync>);

/// Draws each item by `view`. When the list changes, a row whose item is still the same is not touched: an open menu
/// stays open and the focus stays where it is.
pub fn rows<T>(
    items: impl Fn() -> Vec<T> + Send + Sync + 'static,
    view: impl Fn(T) -> AnyView + Clone + Send + Sync + 'static,
) -> AnyView
where
    T: Clone + Hash + Send + Sync + 'static,
{
    drawn(Box::new(move || {
        let draw = |item: T| -> Row {
            let key = hash(&item);
            let view = view.clone();
            (key, Arc::new(move || view(item.clone())))
        };
        items().into_iter().map(draw).collect()
    }))
}

/// Draws each item by `view`, for rows in which something can be typed, chosen or opened. `key` tells them apart: as
/// long as there is an item of its key, a row stays, and what changes reaches it by its signal.
pub fn live_rows<T, K>(
    items: impl Fn() -> Vec<T> + Clone + Send + Sync + 'static,
    key: fn(&T) -> K,
    view: impl Fn(Memo<T>) -> AnyView + Clone + Send + Sync + 'static,
) -> AnyView
where
    T: Clone + PartialEq + Send + Sync + 'static,
    K: Hash + 'static,
{
    drawn(Box::new(move || {
        let draw = |item: T| -> Row {
            let of_row = hash(&key(&item));
            let (items, view) = (items.clone(), view.clone());
            let draw = move || {
                let (items, first) = (items.clone(), item.clone());
                view(Memo::new(move |before: Option<&T>| {
                    let now = items().into_iter().find(|item| hash(&key(item)) == of_row);
                    // While it is going, it stays what it was.
                    now.unwrap_or_else(|| before.unwrap_or(&first).clone())
                }))
            };
            (of_row, Arc::new(draw))
        };
        items().into_iter().map(draw).collect()
    }))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The part that is the same for every list, and so is compiled once.
fn drawn(each: Box<dyn Fn() -> Vec<Row> + Send + Sync>) -> AnyView {
    view! { <For each key=|row| row.0 children=|row| (row.1)()/> }.into_any()
}

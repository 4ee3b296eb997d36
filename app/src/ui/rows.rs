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
            let mut hasher = DefaultHasher::new();
            item.hash(&mut hasher);
            let view = view.clone();
            (hasher.finish(), Arc::new(move || view(item.clone())))
        };
        items().into_iter().map(draw).collect()
    }))
}

/// The part of [`rows`] that is the same for every list, and so is compiled once.
fn drawn(each: Box<dyn Fn() -> Vec<Row> + Send + Sync>) -> AnyView {
    view! { <For each key=|row| row.0 children=|row| (row.1)()/> }.into_any()
}

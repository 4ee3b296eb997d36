//! Lists that keep their rows.

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use super::view::view;
use leptos::prelude::*;

/// A row to be drawn, and its key.
type Row = (u64, Arc<dyn Fn() -> AnyView + Send + Sync>);

/// Renders each item with `view`. When the list changes, rows with an unchanged item are not touched: an open menu
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

/// The current item of a row. One signal type for all, because each type of signal is compiled separately.
pub struct LiveRow<T> {
    item: Memo<Item>,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for LiveRow<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for LiveRow<T> {}

impl<T: PartialEq + Send + Sync + 'static> LiveRow<T> {
    /// For something that is not in a list.
    pub fn new(item: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self {
            item: Memo::new(move |_| Item::new(item())),
            of: PhantomData,
        }
    }
}

impl<T: 'static> LiveRow<T> {
    /// Reads it and tracks changes.
    pub fn with<R>(self, read: impl FnOnce(&T) -> R) -> R {
        self.item.with(|item| read(item.as_of()))
    }

    pub fn with_untracked<R>(self, read: impl FnOnce(&T) -> R) -> R {
        self.item.with_untracked(|item| read(item.as_of()))
    }
}

/// An item of any type that can be compared.
#[derive(Clone)]
struct Item(Arc<dyn AnyItem>);

trait AnyItem: Send + Sync {
    fn is_same(&self, other: &dyn AnyItem) -> bool;
    fn as_any(&self) -> &dyn Any;
}

impl<T: PartialEq + Send + Sync + 'static> AnyItem for T {
    fn is_same(&self, other: &dyn AnyItem) -> bool {
        other.as_any().downcast_ref() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Item {
    fn new<T: PartialEq + Send + Sync + 'static>(item: T) -> Self {
        Self(Arc::new(item))
    }

    fn as_of<T: 'static>(&self) -> &T {
        let item: &dyn AnyItem = &*self.0;
        let Some(item) = item.as_any().downcast_ref() else {
            unreachable!("a row's item is of the type that it was made of");
        };
        item
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        let item: &dyn AnyItem = &*self.0;
        item.is_same(&*other.0)
    }
}

/// Renders each item with `view`, for rows with inputs or menus. `key` identifies rows: a row stays as long as an item
/// with its key exists, and changes reach it through its signal.
pub fn live_rows<T, K>(
    items: impl Fn() -> Vec<T> + Clone + Send + Sync + 'static,
    key: fn(&T) -> K,
    view: impl Fn(LiveRow<T>) -> AnyView + Clone + Send + Sync + 'static,
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
                let (items, first) = (items.clone(), Item::new(item.clone()));
                let item = Memo::new(move |before: Option<&Item>| {
                    let now = items().into_iter().find(|item| hash(&key(item)) == of_row);
                    // While it is being removed, it keeps its value.
                    now.map_or_else(|| before.unwrap_or(&first).clone(), Item::new)
                });
                view(LiveRow {
                    item,
                    of: PhantomData,
                })
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

/// The part that is the same for every list, compiled once.
fn drawn(each: Box<dyn Fn() -> Vec<Row> + Send + Sync>) -> AnyView {
    view! { <For each key=|row| row.0 children=|row| (row.1)()/> }.into_any()
}

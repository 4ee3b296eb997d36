//! Lists whose rows stay in place.

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;
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

/// The item of a row as it is now. A signal of one type for all of them, since each type of signal is compiled anew.
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
    /// Of something that is not in a list.
    pub fn new(item: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self {
            item: Memo::new(move |_| Item::new(item())),
            of: PhantomData,
        }
    }
}

impl<T: 'static> LiveRow<T> {
    /// Reads it, and follows what changes.
    pub fn with<R>(self, read: impl FnOnce(&T) -> R) -> R {
        self.item.with(|item| read(item.as_of()))
    }

    pub fn with_untracked<R>(self, read: impl FnOnce(&T) -> R) -> R {
        self.item.with_untracked(|item| read(item.as_of()))
    }
}

/// An item of any type that can be told from another.
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

/// Draws each item by `view`, for rows in which something can be typed, chosen or opened. `key` tells them apart: as
/// long as there is an item of its key, a row stays, and what changes reaches it by its signal.
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
                    // While it is going, it stays what it was.
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

/// The part that is the same for every list, and so is compiled once.
fn drawn(each: Box<dyn Fn() -> Vec<Row> + Send + Sync>) -> AnyView {
    view! { <For each key=|row| row.0 children=|row| (row.1)()/> }.into_any()
}

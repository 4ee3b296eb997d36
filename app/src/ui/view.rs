//! Leptos's `view!`, always with the same type: the code that handles views is compiled once, not once per shape of a
//! row or an option. Imported by name, `use crate::ui::view`, it takes precedence over the one in Leptos's prelude.

macro_rules! view {
    ($($tokens:tt)*) => {
        ::leptos::prelude::IntoAny::into_any(::leptos::view! { $($tokens)* })
    };
}

pub(crate) use view;

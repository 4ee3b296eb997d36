//! Leptos's `view!`, as one type whatever stands in it: what handles views is compiled once for it, and not once for
//! each shape of a row or an option. Named, `use crate::ui::view`, it goes before the one of Leptos's prelude.

macro_rules! view {
    ($($tokens:tt)*) => {
        ::leptos::prelude::IntoAny::into_any(::leptos::view! { $($tokens)* })
    };
}

pub(crate) use view;

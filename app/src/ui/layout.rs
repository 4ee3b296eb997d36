//! Small components: headers, cards, badges, avatars, empty states.

use leptos::prelude::*;
use leptos_meta::Title;

use super::icon::{Icon, icon};
use super::view::view;

#[component]
pub fn PageHeader(
    title: &'static str,
    lead: &'static str,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    view! {
        <header class="page-header">
            <div>
                <h1>{title}</h1>
                <p class="lead">{lead}</p>
            </div>
            {children.map(|children| view! { <div class="page-actions">{children()}</div> })}
        </header>
    }
}

/// The layout of sign-in and similar pages: one column, one card, a way back.
#[component]
pub fn AuthLayout(#[prop(into)] title: String, children: Children) -> impl IntoView {
    view! {
        <Title text=title.clone()/>
        <main id="main" class="auth" tabindex="-1">
            <p class="auth-brand"><a href="/">"Wheelhouse"</a></p>
            <div class="auth-card">
                <h1>{title}</h1>
                {children()}
            </div>
        </main>
    }
}

/// A section of a page with a title.
#[component]
pub fn Card(
    title: &'static str,
    #[prop(optional)] text: &'static str,
    #[prop(optional)] danger: bool,
    children: Children,
) -> impl IntoView {
    let id = title.to_ascii_lowercase().replace(' ', "-");
    let labelled_by = id.clone();
    view! {
        <section class="card" class:card-danger=danger aria-labelledby=labelled_by>
            <div class="card-header">
                <h2 class="card-title" id=id>{title}</h2>
                {(!text.is_empty()).then(|| view! { <p class="card-text">{text}</p> })}
            </div>
            {children()}
        </section>
    }
}

#[component]
pub fn Badge(tone: &'static str, children: Children) -> impl IntoView {
    view! { <span class="badge" data-tone=tone>{children()}</span> }
}

/// A person's or workspace's initials on a color that is always the same for the same name.
#[component]
pub fn Avatar(#[prop(into)] name: String, #[prop(optional)] square: bool) -> impl IntoView {
    let initials: String = name
        .split_whitespace()
        .filter_map(|word| word.chars().next())
        .take(2)
        .collect();
    let hue = name.bytes().fold(0_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    }) % 8;
    view! {
        <span class="avatar" class:avatar-square=square data-hue=hue.to_string() aria-hidden="true">
            {initials}
        </span>
    }
}

/// Shown for an empty list: what it would contain, and what to do first.
#[component]
pub fn Empty(mark: Icon, title: &'static str, #[prop(into)] text: String) -> impl IntoView {
    view! {
        <div class="empty">
            {icon(mark)}
            <p class="empty-title">{title}</p>
            <p>{text}</p>
        </div>
    }
}

/// A short text in a box.
pub fn callout(tone: &'static str, mark: Icon, text: String) -> AnyView {
    view! { <div class="callout" data-tone=tone>{icon(mark)}<p>{text}</p></div> }.into_any()
}

//! Loading a page's data, and showing an error in its place with the right status.

use std::future::Future;
use std::pin::Pin;

use leptos::either::Either;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::components::Redirect;
use leptos_router::hooks::use_location;
use serde::{Serialize, de::DeserializeOwned};

use super::live::Live;
use crate::domain::AppError;
use crate::live::Topic;

/// A page's data: a signal that follows the server. The page is built once; what changes flows through the signal,
/// so that nothing typed and no open menu is lost when another window changes something.
pub type Data<T> = RwSignal<T>;

/// Asks the guard around to load its data anew.
#[derive(Clone, Copy)]
pub struct Refresh(RwSignal<u32>);

impl Refresh {
    pub fn now(self) {
        self.0.update(|n| *n += 1);
    }
}

/// Shows what `load` brings, by `view`. `load` is called again when a signal that it reads changes, when a live hint
/// names one of `topics`, and when a form inside has been answered.
pub fn guarded<T, Fut, IV>(
    load: impl Fn() -> Fut + Clone + Send + Sync + 'static,
    topics: &'static [Topic],
    view: impl Fn(Data<T>) -> IV + Clone + Send + Sync + 'static,
) -> AnyView
where
    T: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
    Fut: Future<Output = Result<T, AppError>> + Send + 'static,
    IV: IntoView + 'static,
{
    let first = OnceResource::new(untrack(&load));
    let refresh = Refresh(RwSignal::new(0));
    suspended(Box::new(move || {
        let (load, view) = (load.clone(), view.clone());
        Box::pin(async move {
            let data = RwSignal::new(first.await?);
            provide_context(refresh);
            follow(data, load, topics, refresh);
            Ok(view(data).into_any())
        })
    }))
}

/// A view that is on its way.
type Coming = Pin<Box<dyn Future<Output = Result<AnyView, AppError>> + Send>>;

/// The part of [`guarded`] that is the same for every page, and so is compiled once.
fn suspended(view: Box<dyn Fn() -> Coming + Send + Sync>) -> AnyView {
    view! {
        <Suspense fallback=Skeleton>
            {move || {
                let coming = view();
                Suspend::new(async move {
                    match coming.await {
                        Ok(view) => view,
                        Err(error) => view! { <ErrorPage error/> }.into_any(),
                    }
                })
            }}
        </Suspense>
    }
    .into_any()
}

fn follow<T, Fut>(
    data: Data<T>,
    load: impl Fn() -> Fut + 'static,
    topics: &'static [Topic],
    refresh: Refresh,
) where
    T: Clone + PartialEq + Send + Sync + 'static,
    Fut: Future<Output = Result<T, AppError>> + 'static,
{
    let live = use_context::<Live>();
    let latest = StoredValue::new(0_u32);
    Effect::new(move |before: Option<()>| {
        // Calling it notes which signals it reads; the future itself does nothing until it is awaited.
        let loading = load();
        refresh.0.track();
        if let Some(live) = live {
            live.track(topics);
        }
        if before.is_none() {
            return;
        }
        let turn = latest.get_value() + 1;
        latest.set_value(turn);
        spawn_local(async move {
            let result = loading.await;
            // An answer that was overtaken by a later question is dropped.
            if latest.try_get_value() != Some(turn) {
                return;
            }
            match result {
                Ok(value) if data.with_untracked(|old| *old != value) => data.set(value),
                // Signed out, removed, deleted: the server knows what to show instead.
                Err(
                    AppError::Unauthenticated | AppError::Forbidden { .. } | AppError::NotFound,
                ) => {
                    let _ = window().location().reload();
                }
                Ok(_) | Err(_) => {}
            }
        });
    });
}

#[component]
fn Skeleton() -> impl IntoView {
    view! {
        <div class="skeleton" aria-busy="true">
            <span class="visually-hidden">"Loading"</span>
            <div class="skeleton-line"></div>
            <div class="skeleton-card"></div>
            <div class="skeleton-card"></div>
        </div>
    }
}

/// An error where a page should be, with its status; for someone who is not signed in, the way to the sign-in page
/// and back.
#[component]
pub fn ErrorPage(error: AppError) -> impl IntoView {
    if error == AppError::Unauthenticated {
        let location = use_location();
        let here = format!(
            "{}{}",
            location.pathname.get_untracked(),
            search(&location.search.get_untracked())
        );
        let path = format!("/login?next={}", percent_encode(&here));
        // Replaced, so that Back does not lead into the redirect again.
        let options = NavigateOptions {
            replace: true,
            ..NavigateOptions::default()
        };
        return Either::Left(view! { <Redirect path options/> });
    }
    set_status(&error);
    Either::Right(view! {
        <div class="error-page">
            <p class="error-code" aria-hidden="true">{error.status()}</p>
            <h1>{error.title()}</h1>
            <p>{error.to_string()}</p>
            <p class="error-actions"><a class="button" href="/">"Go to your workspace"</a></p>
        </div>
    })
}

#[cfg(feature = "ssr")]
fn set_status(error: &AppError) {
    if let (Some(response), Ok(status)) = (
        use_context::<leptos_axum::ResponseOptions>(),
        axum::http::StatusCode::from_u16(error.status()),
    ) {
        response.set_status(status);
    }
}

#[cfg(not(feature = "ssr"))]
fn set_status(_: &AppError) {}

/// The query of an address with its question mark, or nothing.
pub fn search(query: &str) -> String {
    match query.strip_prefix('?').unwrap_or(query) {
        "" => String::new(),
        query => format!("?{query}"),
    }
}

/// Percent-encodes what a query value cannot hold; the same on both sides.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

//! Loads a page's data, and shows an error with the right status in its place.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use domain::{AppError, Topic};
use leptos::either::Either;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use leptos_router::NavigateOptions;
use leptos_router::components::Redirect;
use leptos_router::hooks::use_location;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::initial_data::first_answer;
use super::live::Live;
use super::navigation_effects::{arrive, keeping_focus};
use super::status::StatusMessages;
use super::url::{percent_encode, search};
use super::view::view;
use crate::rpc::{Call, RpcFuture, RpcResult, ask, read};
use crate::ui::form_state::is_posting;

/// A page's data: a signal that follows the server. The page is built once and updates through the signal, so typed
/// text and open menus survive when another window changes something.
pub type Data<T> = RwSignal<T>;

/// Asks every loader on the page to reload its data.
#[derive(Clone, Copy)]
pub struct Refresh(RwSignal<u32>);

/// Provides [`Refresh`] to the tree.
pub fn provide_refresh() {
    provide_context(Refresh(RwSignal::new(0)));
}

impl Refresh {
    pub fn now(self) {
        // Nobody is left to notify after the page is gone.
        let _ = self.0.try_update(|n| *n += 1);
    }
}

/// Shows the response of a server function with `view`. It is called again when a signal in its arguments changes, when
/// a live hint names one of `topics`, and when a form on the page got its response.
pub fn guarded<F, IV>(
    arguments: impl Fn() -> F + Send + Sync + 'static,
    topics: &'static [Topic],
    view: impl Fn(Data<F::Output>) -> IV + Send + Sync + 'static,
) -> AnyView
where
    F: Call,
    F::Output: Serialize + DeserializeOwned + Send + Sync + 'static,
    IV: IntoView + 'static,
{
    loaded(Arc::new(Page {
        ask: Box::new(move || ask(arguments())),
        topics,
        show: Box::new(move |answer| {
            let data = RwSignal::new(read::<F::Output>(answer)?);
            let apply = move |answer: &[u8]| {
                if let Ok(value) = read(answer) {
                    data.set(value);
                }
            };
            Ok((view(data).into_any(), Box::new(apply)))
        }),
    }))
}

/// A page with its data's type erased: the code for it is compiled once instead of once per page.
struct Page {
    ask: Box<dyn Fn() -> RpcFuture + Send + Sync>,
    topics: &'static [Topic],
    show: Show,
}

/// Renders the first response, and returns how to take later ones.
type Show = Box<dyn Fn(&[u8]) -> Result<(AnyView, Apply), AppError> + Send + Sync>;

/// Takes a later response.
type Apply = Box<dyn Fn(&[u8])>;

fn loaded(page: Arc<Page>) -> AnyView {
    let asked = untrack(|| (page.ask)());
    let draw = move |answer: RpcResult| {
        let shown = answer.and_then(|answer| {
            let (view, apply) = (page.show)(&answer)?;
            follow(page, answer, apply);
            Ok(view)
        });
        shown.unwrap_or_else(|error| view! { <ErrorPage error/> }.into_any())
    };
    first_answer(asked, draw, || view! { <PageSkeleton/> }.into_any())
}

fn follow(page: Arc<Page>, shown: Vec<u8>, apply: Apply) {
    let live = use_context::<Live>();
    let refresh = expect_context::<Refresh>();
    let location = use_location();
    let again = RwSignal::new(0_u32);
    let waits = StoredValue::new(false);
    let latest = StoredValue::new(0_u32);
    let said = use_context::<StatusMessages>();
    let (shown, apply) = (Rc::new(RefCell::new(shown)), Rc::new(apply));
    Effect::new(move |before: Option<()>| {
        // Calling it tracks the signals that it reads; the future itself does nothing until it is awaited.
        let asked = (page.ask)();
        refresh.0.track();
        again.track();
        if let Some(live) = live {
            live.track(page.topics);
        }
        if before.is_none() {
            let hash = location.hash.get_untracked();
            request_animation_frame(move || arrive(&hash));
            return;
        }
        // A form being submitted may end this page or the session: ask after its response.
        if is_posting() {
            if !waits.get_value() {
                waits.set_value(true);
                let ask_again = move || {
                    let _ = waits.try_set_value(false);
                    let _ = again.try_update(|n| *n += 1);
                };
                set_timeout(ask_again, Duration::from_millis(100));
            }
            return;
        }
        let turn = latest.get_value() + 1;
        latest.set_value(turn);
        let (shown, apply) = (shown.clone(), apply.clone());
        spawn_local(async move {
            let answer = asked.await;
            // A response that is older than a later request is dropped.
            if latest.try_get_value() != Some(turn) {
                return;
            }
            match answer {
                Ok(answer) if *shown.borrow() != answer => {
                    keeping_focus(|| apply(&answer));
                    *shown.borrow_mut() = answer;
                }
                // Signed out, removed, deleted: the server knows what to show instead.
                Err(
                    AppError::Unauthenticated | AppError::Forbidden { .. } | AppError::NotFound,
                ) if !is_posting() => {
                    let _ = window().location().reload();
                }
                Err(AppError::Outdated) => {
                    if let Some(said) = said {
                        said.show(&AppError::Outdated.to_string());
                    }
                }
                Ok(_) | Err(_) => {}
            }
        });
    });
}

/// Placeholder for a page that is loading.
#[component]
pub fn PageSkeleton() -> impl IntoView {
    view! {
        <div class="skeleton" aria-busy="true">
            <span class="visually-hidden">"Loading"</span>
            <div class="skeleton-line"></div>
            <div class="skeleton-card"></div>
            <div class="skeleton-card"></div>
        </div>
    }
}

/// An error page with its status; for someone who is not signed in, a redirect to the sign-in page and back.
#[component]
pub fn ErrorPage(error: AppError) -> impl IntoView {
    if error == AppError::Unauthenticated {
        let path = format!("/login?next={}", percent_encode(&here()));
        return Either::Left(redirect(path));
    }
    set_status(&error);
    let temporary = matches!(
        error,
        AppError::Offline | AppError::Busy | AppError::Internal { .. } | AppError::Outdated
    );
    let label = if error == AppError::Outdated {
        "Reload"
    } else {
        "Try Again"
    };
    let again = temporary.then(|| {
        let here = here();
        view! { <a class="button button-primary" href=here rel="external">{label}</a> }
    });
    let page = view! {
        <Title text=error.title()/>
        <div class="error-page">
            <p class="error-code" aria-hidden="true">{error.status()}</p>
            <h1>{error.title()}</h1>
            <p>{error.to_string()}</p>
            <p class="error-actions">{again}<a class="button" href="/">"Back to Your Workspace"</a></p>
        </div>
    };
    Either::Right(if use_context::<WithinMain>().is_some() {
        page.into_any()
    } else {
        view! { <main id="main" class="page" tabindex="-1">{page}</main> }.into_any()
    })
}

/// Redirects to another page. It replaces this one in the history, so that Back does not hit the redirect again.
pub fn redirect(path: String) -> AnyView {
    let options = NavigateOptions {
        replace: true,
        ..NavigateOptions::default()
    };
    view! { <Redirect path options/> }
}

/// Marks content that is already inside a `<main>`, so that an error there adds no second one.
#[derive(Clone, Copy)]
pub struct WithinMain;

/// The current path and query, without the fragment.
fn here() -> String {
    let location = use_location();
    format!(
        "{}{}",
        location.pathname.get_untracked(),
        search(&location.search.get_untracked())
    )
}

#[cfg(feature = "ssr")]
fn set_status(error: &AppError) {
    if let (Some(response), Ok(status)) = (
        use_context::<leptos_axum::ResponseOptions>(),
        axum::http::StatusCode::from_u16(error.status()),
    ) {
        response.set_status(status);
        if let Some(retry_after) = error.retry_after() {
            let wait = axum::http::HeaderValue::from(retry_after);
            response.insert_header(axum::http::header::RETRY_AFTER, wait);
        }
    }
}

#[cfg(not(feature = "ssr"))]
fn set_status(_: &AppError) {}

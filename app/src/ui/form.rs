//! Forms. With and without script, a form posts in the same way to the same server function. Errors are shown at their
//! fields, and typed text stays.

use std::time::Duration;

use domain::AppError;
use domain::form::{FormOutcome, FormSuccess};
use leptos::context::Provider;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::{use_location, use_navigate};
use wasm_bindgen::JsCast;
use web_sys::{FormData, HtmlElement, HtmlFormElement, UrlSearchParams};

use super::dialog::close_panel;
use super::field::PasswordOnDemand;
use super::form_state::{FormState, posting_begins, posting_ended};
use super::icon::{Icon, icon};
use super::outdated::keep_and_reload;
use super::page_loader::Refresh;
use super::snapshot::FormSnapshot;
use super::status::{StatusMessages, keep_for_next_page};
use super::unsaved::{leave_for, may_leave_but_for, stayed};
use super::view::view;
use crate::rpc::{post, read};
use crate::ui::url::search;

/// A page that has not loaded after this time no longer counts as loading.
const LEFT_WITHIN: Duration = Duration::from_secs(20);

/// A form that posts to a server function's path.
#[component]
pub fn Form(
    /// The server function's path: `SaveProfile::PATH`.
    action: &'static str,
    /// Distinguishes this form from others of its kind on the page, for example by a row's id.
    #[prop(optional, into)]
    key: String,
    #[prop(default = "form")] class: &'static str,
    /// Reload the page when the response leads elsewhere: for changes of who is signed in.
    #[prop(optional)]
    reload: bool,
    /// Ask before leaving text here unsaved.
    #[prop(optional)]
    guard: bool,
    /// Clear the form's text after it was accepted, instead of keeping it. Chosen values stay.
    #[prop(optional)]
    clear: bool,
    children: Children,
) -> impl IntoView {
    let state = FormState::new(action, &key, clear);
    let location = use_location();
    let back = move || {
        format!(
            "{}{}",
            location.pathname.get(),
            search(&location.search.get())
        )
    };
    let said = expect_context::<StatusMessages>();
    let refresh = use_context::<Refresh>();
    let navigate = use_navigate();

    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        if state.busy.get_untracked() {
            return;
        }
        let Some(form) = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlFormElement>().ok())
        else {
            return;
        };
        let Some(body) = body_of(&form, &event) else {
            return;
        };
        let posted = FormSnapshot::of(&form);
        // A form that leads elsewhere leaves behind unsaved text in other forms, so ask first.
        if reload && !may_leave_but_for(Some(&form)) {
            return;
        }
        state.busy.set(true);
        posting_begins();
        let navigate = navigate.clone();
        spawn_local(async move {
            let Answer { outcome, location } = send(action, &body).await;
            let _ = state.busy.try_set(false);
            let good = outcome.is_ok();
            let leaves = reload && location.is_some();
            if let Ok(done) = &outcome {
                if !done.keep {
                    posted.settle(&form, clear);
                }
                close_around(&form);
                if leaves {
                    keep_for_next_page(&done.message);
                } else {
                    said.say(done.clone());
                }
            }
            let _ = state.outcome.try_set(Some(outcome));
            match location {
                Some(path) if leaves => {
                    leave_for(&path);
                    let here_still = || {
                        stayed();
                        posting_ended();
                    };
                    set_timeout(here_still, LEFT_WITHIN);
                    return;
                }
                Some(path) => navigate(&path, leptos_router::NavigateOptions::default()),
                None => {
                    if good && let Some(refresh) = refresh {
                        refresh.now();
                    }
                }
            }
            if !good {
                focus_first_error(&form);
            }
            posting_ended();
        });
    };

    view! {
        <form
            action=action
            method="post"
            class=class
            data-guard=guard.then_some("true")
            novalidate=true
            on:submit=on_submit
            on:reset=move |_| state.outcome.set(None)
        >
            <input type="hidden" name="_back" value=back/>
            <input type="hidden" name="_form" value=key/>
            <Provider value=state>
                <FormMessage state/>
                <PasswordOnDemand state/>
                {children()}
            </Provider>
        </form>
    }
}

/// The errors of the form as a whole or of fields that it does not show, or the result of each thing it requested.
#[component]
fn FormMessage(state: FormState) -> impl IntoView {
    let error = move || {
        state.outcome.with(|outcome| match outcome {
            Some(Err(AppError::Invalid(errors))) => state.unclaimed(errors),
            Some(Err(error)) => Some(error.to_string()),
            Some(Ok(_)) | None => None,
        })
    };
    let results = move || {
        state.outcome.with(|outcome| match outcome {
            Some(Ok(done)) => done.results.clone(),
            _ => Vec::new(),
        })
    };
    let outdated = move || {
        state
            .outcome
            .with(|outcome| matches!(outcome, Some(Err(AppError::Outdated))))
    };
    view! {
        {move || error().map(|text| view! {
            <p class="form-error" role="alert" tabindex="-1">
                {icon(Icon::Warning)}<span>{text}</span>
                {outdated().then(|| view! {
                    <button type="button" class="button button-small" on:click=|event| keep_and_reload(&event)>"Reload"</button>
                })}
            </p>
        })}
        {move || {
            let lines = results();
            (!lines.is_empty()).then(|| view! {
                <ul class="results">
                    {lines.into_iter().map(|line| view! {
                        <li data-good=line.good.to_string()>
                            {icon(if line.good { Icon::CircleCheck } else { Icon::CircleX })}
                            <span><strong>{line.subject}</strong>" — "{line.message}</span>
                        </li>
                    }).collect_view()}
                </ul>
            })
        }}
    }
}

/// What the browser would post: the fields and the button that was pressed.
fn body_of(form: &HtmlFormElement, event: &SubmitEvent) -> Option<UrlSearchParams> {
    let data = FormData::new_with_form(form).ok()?;
    if let Some(button) = event.submitter()
        && let Some(name) = button.get_attribute("name")
    {
        let _ = data.append_with_str(&name, &button.get_attribute("value").unwrap_or_default());
    }
    UrlSearchParams::new_with_str_sequence_sequence(&data).ok()
}

struct Answer {
    outcome: FormOutcome,
    /// The page that it leads to.
    location: Option<String>,
}

async fn send(action: &str, body: &UrlSearchParams) -> Answer {
    match post(action, body).await {
        Ok(posted) if posted.good => Answer {
            outcome: read::<FormSuccess>(&posted.answer),
            location: posted.location,
        },
        Ok(posted) => failed(read(&posted.answer).unwrap_or_else(|error| error)),
        Err(error) => failed(error),
    }
}

fn failed(error: AppError) -> Answer {
    Answer {
        outcome: Err(error),
        location: None,
    }
}

/// An accepted form closes its dialog or popover.
fn close_around(form: &HtmlFormElement) {
    if let Ok(Some(panel)) = form.closest("dialog, [popover]") {
        close_panel(&panel);
    }
}

fn focus_first_error(form: &HtmlFormElement) {
    let form = form.clone();
    // After the errors are on the page.
    request_animation_frame(move || {
        if let Ok(Some(element)) = form.query_selector("[aria-invalid=true], .form-error")
            && let Some(element) = element.dyn_ref::<HtmlElement>()
        {
            let _ = element.focus();
        }
    });
}

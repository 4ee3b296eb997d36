//! Forms. With and without script, a form posts in the same way to the same server function. Errors are shown at their
//! fields, and typed text stays.

use std::cell::Cell;
use std::time::Duration;

use domain::form::{FormOutcome, FormSuccess};
use domain::{AppError, FieldErrors};
use leptos::context::Provider;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::{use_location, use_navigate};
use wasm_bindgen::JsCast;
use web_sys::{FormData, HtmlElement, HtmlFormElement, UrlSearchParams};

use super::dialog::close_panel;
use super::field::{CURRENT_PASSWORD, PasswordOnDemand};
use super::flash::{flash_for, use_flash_outcome};
use super::icon::{Icon, icon};
use super::outdated::{keep_and_reload, restore_kept};
use super::page_loader::{Refresh, search};
use super::snapshot::FormSnapshot;
use super::status::{StatusMessages, keep_for_next_page};
use super::unsaved::{leave_for, may_leave_but_for, stayed};
use super::view::view;
use crate::rpc::{post, read};

/// A page that has not loaded after this time no longer counts as loading.
const LEFT_WITHIN: Duration = Duration::from_secs(20);

/// State shared by the fields of a form.
#[derive(Clone, Copy)]
pub struct FormState {
    prefix: StoredValue<String>,
    pub outcome: RwSignal<Option<FormOutcome>>,
    pub busy: RwSignal<bool>,
    typed: StoredValue<Vec<(String, String)>>,
    /// Chosen values: like typed text, but kept when a form that clears itself is accepted.
    chosen: StoredValue<Vec<(String, String)>>,
    /// The fields that show their own errors.
    fields: StoredValue<Vec<&'static str>>,
}

impl FormState {
    fn new(action: &str, key: &str, clear: bool) -> Self {
        let flash = flash_for(action, key);
        let prefix = format!("{}-{key}", action.trim_start_matches("/fn/"));
        let outcome = flash.as_ref().map(|flash| flash.outcome.clone());
        let stays = outcome.as_ref().is_some_and(|outcome| match outcome {
            // If a part was refused, the rest of the form stays as requested.
            Ok(done) => done.keep || done.results.iter().any(|line| !line.good),
            Err(_) => true,
        });
        let posted = flash.map(|flash| flash.typed).unwrap_or_default();
        let typed = if stays { posted.clone() } else { Vec::new() };
        let chosen = if stays || clear { posted } else { Vec::new() };
        Self {
            prefix: StoredValue::new(prefix.trim_end_matches('-').to_owned()),
            outcome: RwSignal::new(outcome),
            busy: RwSignal::new(false),
            typed: StoredValue::new(typed),
            chosen: StoredValue::new(chosen),
            fields: StoredValue::new(Vec::new()),
        }
    }

    pub fn id(self, name: &str) -> String {
        self.prefix.with_value(|prefix| format!("{prefix}-{name}"))
    }

    /// Registers a field that shows its own errors. Returns whether it is the first with an error: without script, the
    /// page starts there.
    pub fn claim(self, name: &'static str) -> bool {
        let wrong = |name: &str| untrack(|| self.error(name)).is_some();
        let first = wrong(name)
            && !self
                .fields
                .with_value(|fields| fields.iter().any(|other| wrong(other)));
        self.fields.update_value(|fields| fields.push(name));
        first
    }

    /// Whether the form has a field with this name that shows its own errors.
    pub fn has(self, name: &str) -> bool {
        self.fields.with_value(|fields| fields.contains(&name))
    }

    pub fn error(self, name: &str) -> Option<String> {
        self.outcome.with(|outcome| match outcome {
            Some(Err(AppError::Invalid(errors))) => errors.get(name).map(str::to_owned),
            _ => None,
        })
    }

    /// The errors of fields that are not in the form.
    fn unclaimed(self, errors: &FieldErrors) -> Option<String> {
        self.fields.with_value(|fields| {
            let texts: Vec<&str> = errors
                .iter()
                .filter(|(name, _)| !fields.contains(name) && *name != CURRENT_PASSWORD)
                .map(|(_, text)| text)
                .collect();
            (!texts.is_empty()).then(|| texts.join(". "))
        })
    }

    pub fn invalid(self, name: &'static str) -> Signal<Option<&'static str>> {
        Signal::derive(move || self.error(name).map(|_| "true"))
    }

    /// The ids that describe a field: its error, if there is one, and `rest`, which always applies.
    pub fn described_by(self, name: &'static str, rest: Vec<String>) -> Signal<Option<String>> {
        let error = format!("{}-error", self.id(name));
        Signal::derive(move || {
            let ids: Vec<&str> = self
                .error(name)
                .map(|_| error.as_str())
                .into_iter()
                .chain(rest.iter().map(String::as_str))
                .collect();
            (!ids.is_empty()).then(|| ids.join(" "))
        })
    }

    /// Whether this checkbox was checked before the page was reloaded, if the form was posted.
    pub fn checked(self, name: &str, value: &str) -> Option<bool> {
        let posted = posted_list_name(name);
        self.typed.with_value(|typed| {
            let mut boxes = typed.iter().filter(|(field, _)| *field == posted);
            (!typed.is_empty()).then(|| boxes.any(|(_, checked)| checked == value))
        })
    }

    /// The value that was chosen before the page was reloaded, without script.
    pub fn chosen(self, name: &str) -> Option<String> {
        self.chosen
            .with_value(|chosen| first_value(chosen, &posted_name(name)))
    }

    /// The text that was typed before the page was reloaded, without script.
    pub fn typed(self, name: &str) -> Option<String> {
        self.typed
            .with_value(|typed| first_value(typed, &posted_name(name)))
    }

    /// The refused ones of several things that were requested together.
    pub fn refused(self) -> Option<String> {
        self.outcome.with(|outcome| match outcome {
            Some(Ok(done)) => {
                let refused: Vec<&str> = done
                    .results
                    .iter()
                    .filter(|line| !line.good)
                    .map(|line| line.subject.as_str())
                    .collect();
                (!refused.is_empty()).then(|| refused.join(", "))
            }
            _ => None,
        })
    }
}

fn first_value(fields: &[(String, String)], posted: &str) -> Option<String> {
    fields
        .iter()
        .find(|(field, _)| field == posted)
        .map(|(_, value)| value.clone())
}

pub fn posted_name(name: &str) -> String {
    format!("form[{name}]")
}

/// Marks a field whose new value takes effect later, such as an address that has to be confirmed.
pub const NOT_YET: &str = "data-not-yet";

pub fn posted_list_name(name: &str) -> String {
    format!("form[{name}][]")
}

/// Inside a form: the text that was typed into a field before the page was reloaded, without script.
pub fn use_typed(name: &str) -> Option<String> {
    expect_context::<FormState>().typed(name)
}

/// Whether this form was just posted without script and refused.
pub fn was_refused(action: &str, key: &str) -> bool {
    use_flash_outcome(action, key).is_some_and(|outcome| outcome.is_err())
}

thread_local! {
    /// How many forms are being submitted.
    static POSTING: Cell<u32> = const { Cell::new(0) };
}

/// Whether a form is being submitted, or its response leads to a page that is loading: until then that form decides
/// what happens to this page.
pub fn is_posting() -> bool {
    POSTING.get() > 0
}

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
    let element = NodeRef::<leptos::html::Form>::new();
    Effect::new(move || {
        if let Some(form) = element.get() {
            restore_kept(&form);
        }
    });

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
        POSTING.set(POSTING.get() + 1);
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
                        POSTING.set(POSTING.get() - 1);
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
            POSTING.set(POSTING.get() - 1);
        });
    };

    view! {
        <form
            node_ref=element
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

//! Forms. One way to post, with script and without: what the browser would post by itself is what the script posts,
//! to the same server function. Errors stand at their fields, and what was typed stays.

use std::cell::Cell;

use leptos::context::Provider;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::{use_location, use_navigate};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    FormData, HtmlElement, HtmlFormElement, HtmlInputElement, HtmlTextAreaElement, UrlSearchParams,
};

use super::guard::{Refresh, search};
use super::icon::{Icon, icon};
use super::status::Said;
use crate::call::{post, read};
use crate::domain::AppError;
use crate::form::{Done, Flash, Outcome};

/// What the fields of a form share.
#[derive(Clone, Copy)]
struct FormState {
    prefix: StoredValue<String>,
    outcome: RwSignal<Option<Outcome>>,
    busy: RwSignal<bool>,
    typed: StoredValue<Vec<(String, String)>>,
}

impl FormState {
    fn id(self, name: &str) -> String {
        self.prefix.with_value(|prefix| format!("{prefix}-{name}"))
    }

    fn error(self, name: &str) -> Option<String> {
        self.outcome.with(|outcome| match outcome {
            Some(Err(AppError::Invalid(errors))) => errors.get(name).map(str::to_owned),
            _ => None,
        })
    }

    fn invalid(self, name: &'static str) -> Signal<Option<&'static str>> {
        Signal::derive(move || self.error(name).map(|_| "true"))
    }

    /// The ids of a field's hint and of its error.
    fn description_ids(self, name: &str) -> (String, String) {
        let id = self.id(name);
        (format!("{id}-hint"), format!("{id}-error"))
    }

    /// What describes a field: its error while there is one, and its hint.
    fn described_by(self, name: &'static str, has_hint: bool) -> Signal<Option<String>> {
        let (hint, error) = self.description_ids(name);
        Signal::derive(move || match (self.error(name).is_some(), has_hint) {
            (true, true) => Some(format!("{error} {hint}")),
            (true, false) => Some(error.clone()),
            (false, true) => Some(hint.clone()),
            (false, false) => None,
        })
    }

    /// Whether this checkbox was checked before the page was loaded anew, if the form was posted at all.
    fn checked(self, name: &str, value: &str) -> Option<bool> {
        let posted = posted_list_name(name);
        self.typed.with_value(|typed| {
            let mut boxes = typed.iter().filter(|(field, _)| *field == posted);
            (!typed.is_empty()).then(|| boxes.any(|(_, checked)| checked == value))
        })
    }

    /// What was typed before the page was loaded anew, without script.
    fn typed(self, name: &str) -> Option<String> {
        let posted = posted_name(name);
        self.typed.with_value(|typed| {
            typed
                .iter()
                .find(|(field, _)| *field == posted)
                .map(|(_, value)| value.clone())
        })
    }
}

fn posted_name(name: &str) -> String {
    format!("form[{name}]")
}

fn posted_list_name(name: &str) -> String {
    format!("form[{name}][]")
}

/// Inside a form: what was typed into a field before the page was loaded anew, without script.
pub fn use_typed(name: &str) -> Option<String> {
    expect_context::<FormState>().typed(name)
}

/// Whether this form was just posted without script and refused.
pub fn was_refused(action: &str, key: &str) -> bool {
    use_flash_outcome(action, key).is_some_and(|outcome| outcome.is_err())
}

/// The answer that a form without script got, on the page that follows it.
pub fn use_flash_outcome(action: &str, key: &str) -> Option<Outcome> {
    let flash = use_context::<Option<Flash>>().flatten()?;
    flash.is_for(action, key).then_some(flash.outcome)
}

thread_local! {
    /// How many forms are on their way.
    static POSTING: Cell<u32> = const { Cell::new(0) };
}

/// Whether a form is on its way, or has been answered with another page that is being fetched: then what becomes of
/// this page is that form's to say.
pub fn is_posting() -> bool {
    POSTING.get() > 0
}

/// A form that posts to a server function's address.
#[component]
pub fn Form(
    /// The server function's address: `SaveProfile::PATH`.
    action: &'static str,
    /// Tells this form from its like on the same page, such as a row's id.
    #[prop(optional, into)]
    key: String,
    #[prop(default = "form")] class: &'static str,
    /// Load the page anew when the answer leads elsewhere: for what changes who is signed in.
    #[prop(optional)]
    reload: bool,
    /// Ask before what was typed here is left unsaved.
    #[prop(optional)]
    guard: bool,
    /// Empty the form once it was accepted, instead of keeping what it holds.
    #[prop(optional)]
    clear: bool,
    children: Children,
) -> impl IntoView {
    let flash = use_context::<Option<Flash>>()
        .flatten()
        .filter(|flash| flash.is_for(action, &key));
    let prefix = format!("{}-{key}", action.trim_start_matches("/fn/"))
        .trim_end_matches('-')
        .to_owned();
    let state = FormState {
        prefix: StoredValue::new(prefix),
        outcome: RwSignal::new(flash.as_ref().map(|flash| flash.outcome.clone())),
        busy: RwSignal::new(false),
        typed: StoredValue::new(
            flash
                .map(|flash| {
                    if flash.outcome.as_ref().is_ok_and(|done| !done.keep) {
                        Vec::new()
                    } else {
                        flash.typed
                    }
                })
                .unwrap_or_default(),
        ),
    };
    let location = use_location();
    let back = move || {
        format!(
            "{}{}",
            location.pathname.get(),
            search(&location.search.get())
        )
    };
    let said = expect_context::<Said>();
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
        state.busy.set(true);
        POSTING.set(POSTING.get() + 1);
        let navigate = navigate.clone();
        spawn_local(async move {
            let (outcome, redirect) = send(action, &body).await;
            let _ = state.busy.try_set(false);
            if let Ok(done) = &outcome {
                said.say(done.clone());
                if !done.keep {
                    settle(&form, clear);
                }
                close_popover(&form);
            }
            let good = outcome.is_ok();
            let _ = state.outcome.try_set(Some(outcome));
            match redirect {
                Some(path) if reload => {
                    let _ = window().location().assign(&path);
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
            action=action
            method="post"
            class=class
            data-guard=guard.then_some("true")
            novalidate=true
            on:submit=on_submit
        >
            <input type="hidden" name="_back" value=back/>
            <input type="hidden" name="_form" value=key/>
            <Provider value=state>
                <FormMessage state/>
                {children()}
            </Provider>
        </form>
    }
}

/// What is wrong with the form as a whole, or what became of each thing it asked for.
#[component]
fn FormMessage(state: FormState) -> impl IntoView {
    let error = move || {
        state.outcome.with(|outcome| match outcome {
            Some(Err(AppError::Invalid(_)) | Ok(_)) | None => None,
            Some(Err(error)) => Some(error.to_string()),
        })
    };
    let results = move || {
        state.outcome.with(|outcome| match outcome {
            Some(Ok(done)) => done.results.clone(),
            _ => Vec::new(),
        })
    };
    view! {
        {move || error().map(|text| view! {
            <p class="form-error" role="alert" tabindex="-1">{icon(Icon::Warning)}<span>{text}</span></p>
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

/// A hidden value. `name` as the server function names it: `form[workspace]`, or `workspace`.
#[component]
pub fn Hidden(name: &'static str, #[prop(into)] value: Signal<String>) -> impl IntoView {
    view! { <input type="hidden" name=name value=move || value.get()/> }
}

/// A labelled text field with its hint and its error.
#[component]
pub fn Field(
    name: &'static str,
    label: &'static str,
    #[prop(default = "text")] kind: &'static str,
    /// What is stored. Another window's change shows as long as nothing was typed here.
    #[prop(optional, into)]
    value: Signal<String>,
    #[prop(optional, into)] hint: Option<String>,
    #[prop(default = "off")] autocomplete: &'static str,
    /// Stands before the field, as `/w/` does before a slug.
    #[prop(optional)]
    before: &'static str,
    #[prop(optional)] disabled: bool,
    /// Called with what is being typed.
    #[prop(optional, into)]
    on_typed: Option<Callback<String>>,
    /// Said below the field while typing.
    #[prop(optional)]
    remark: Option<AnyView>,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let id = state.id(name);
    let typed = if kind == "password" {
        None
    } else {
        state.typed(name)
    };
    let shown = move || typed.clone().unwrap_or_else(|| value.get());
    let (hint_id, error_id) = state.description_ids(name);
    let described = state.described_by(name, hint.is_some());
    let input = view! {
        <input
            class="input"
            id=id.clone()
            name=posted_name(name)
            type=kind
            value=shown
            autocomplete=autocomplete
            autocapitalize=if kind == "text" { None } else { Some("none") }
            spellcheck=(kind != "text" || !before.is_empty()).then_some("false")
            disabled=disabled
            aria-invalid=state.invalid(name)
            aria-describedby=described
            on:input:target=move |event| {
                if let Some(on_typed) = on_typed {
                    on_typed.run(event.target().value());
                }
            }
        />
    };
    view! {
        <div class="field">
            <label for=id>{label}</label>
            {if before.is_empty() {
                input.into_any()
            } else {
                view! { <div class="input-prefix"><span aria-hidden="true">{before}</span>{input}</div> }.into_any()
            }}
            {hint.map(|hint| view! { <p class="hint" id=hint_id>{hint}</p> })}
            {remark}
            <FieldError state name id=error_id/>
        </div>
    }
}

/// A labelled field of several lines.
#[component]
pub fn TextArea(
    name: &'static str,
    label: &'static str,
    #[prop(optional, into)] hint: Option<String>,
    #[prop(default = 1)] rows: u32,
    #[prop(default = "off")] autocomplete: &'static str,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let id = state.id(name);
    let (hint_id, error_id) = state.description_ids(name);
    let described = state.described_by(name, hint.is_some());
    view! {
        <div class="field">
            <label for=id.clone()>{label}</label>
            <textarea
                class="input textarea"
                id=id
                name=posted_name(name)
                rows=rows
                autocomplete=autocomplete
                spellcheck="false"
                aria-invalid=state.invalid(name)
                aria-describedby=described
            >{state.typed(name)}</textarea>
            {hint.map(|hint| view! { <p class="hint" id=hint_id>{hint}</p> })}
            <FieldError state name id=error_id/>
        </div>
    }
}

/// A labelled choice. `options`: value and text.
#[component]
pub fn Select(
    name: &'static str,
    label: &'static str,
    options: Vec<(String, String)>,
    #[prop(optional, into)] selected: String,
    #[prop(optional)] hint: Option<AnyView>,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let id = state.id(name);
    let (_, error_id) = state.description_ids(name);
    let described = state.described_by(name, false);
    let selected = state.typed(name).unwrap_or(selected);
    view! {
        <div class="field">
            <label for=id.clone()>{label}</label>
            <select class="select" id=id name=posted_name(name) aria-invalid=state.invalid(name) aria-describedby=described>
                {options.into_iter().map(|(value, text)| {
                    let chosen = value == selected;
                    view! { <option value=value selected=chosen>{text}</option> }
                }).collect_view()}
            </select>
            {hint}
            <FieldError state name id=error_id/>
        </div>
    }
}

/// The current password, for a change that wants a fresh sign-in: asked for when the sign-in is old, or has become so
/// since the page was loaded.
#[component]
pub fn CurrentPassword(#[prop(into)] ask: Signal<bool>) -> impl IntoView {
    const NAME: &str = "current_password";
    let state = expect_context::<FormState>();
    let shown = Memo::new(move |before: Option<&bool>| {
        before == Some(&true) || ask.get() || state.error(NAME).is_some()
    });
    move || {
        shown.get().then(|| view! {
            <Field
                name=NAME label="Current Password" kind="password" autocomplete="current-password"
                hint="Your sign-in is more than 15 minutes old"
            />
        })
    }
}

/// One of several boxes that post a list: `form[scopes][]`.
#[component]
pub fn Checkbox(
    name: &'static str,
    #[prop(into)] value: String,
    label: &'static str,
    #[prop(optional)] checked: bool,
    /// Says whether it is checked whatever was posted, for buttons that check several.
    #[prop(optional_no_strip)]
    picked: Option<bool>,
    #[prop(optional)] hint: Option<AnyView>,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let (_, error_id) = state.description_ids(name);
    let checked = picked
        .or_else(|| state.checked(name, &value))
        .unwrap_or(checked);
    let described = move || state.error(name).map(|_| error_id.clone());
    view! {
        <div class="check">
            <label>
                <input
                    type="checkbox" name=posted_list_name(name) value=value checked=checked
                    aria-invalid=state.invalid(name) aria-describedby=described
                />
                <span>{label}</span>
            </label>
            {hint}
        </div>
    }
}

/// A choice among a few, all to be seen. `options`: value, text, and what it means.
#[component]
pub fn Radios(
    name: &'static str,
    label: &'static str,
    options: Vec<(&'static str, &'static str, &'static str)>,
    selected: &'static str,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let selected = state.typed(name).unwrap_or_else(|| selected.to_owned());
    let (hint_id, error_id) = state.description_ids(name);
    view! {
        <fieldset class="radios">
            <legend>{label}</legend>
            {options.into_iter().map(|(value, text, meaning)| {
                let hint = format!("{hint_id}-{value}");
                view! {
                    <div class="check">
                        <label>
                            <input
                                type="radio" name=posted_name(name) value=value checked=value == selected
                                aria-invalid=state.invalid(name) aria-describedby=hint.clone()
                            />
                            <span>{text}</span>
                        </label>
                        <p class="hint" id=hint>{meaning}</p>
                    </div>
                }
            }).collect_view()}
            <FieldError state name id=error_id/>
        </fieldset>
    }
}

/// What is wrong with a group of checkboxes.
#[component]
pub fn GroupError(name: &'static str) -> impl IntoView {
    let state = expect_context::<FormState>();
    let (_, id) = state.description_ids(name);
    view! { <FieldError state name id/> }
}

#[component]
fn FieldError(state: FormState, name: &'static str, id: String) -> impl IntoView {
    move || {
        let id = id.clone();
        state.error(name).map(|text| {
            view! {
                <p class="field-error" id=id>{icon(Icon::Warning)}<span>{text}</span></p>
            }
        })
    }
}

/// The button that posts the form.
#[component]
pub fn Submit(
    #[prop(default = "button button-primary")] class: &'static str,
    children: Children,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    view! {
        <button type="submit" class=class aria-busy=move || state.busy.get().then_some("true")>{children()}</button>
    }
}

/// What the browser would post: the fields, and the button that was pressed.
fn body_of(form: &HtmlFormElement, event: &SubmitEvent) -> Option<UrlSearchParams> {
    let data = FormData::new_with_form(form).ok()?;
    if let Some(button) = event.submitter()
        && let Some(name) = button.get_attribute("name")
    {
        let _ = data.append_with_str(&name, &button.get_attribute("value").unwrap_or_default());
    }
    UrlSearchParams::new_with_str_sequence_sequence(&data).ok()
}

/// Posts and reads the answer, and where it leads.
async fn send(action: &str, body: &UrlSearchParams) -> (Outcome, Option<String>) {
    match post(action, body).await {
        Ok(posted) if posted.good => (read::<Done>(&posted.text), posted.location),
        Ok(posted) => (Err(read(&posted.text).unwrap_or(AppError::Offline)), None),
        Err(error) => (Err(error), None),
    }
}

/// Makes what was saved the form's new resting state, so that it counts as untouched; passwords are emptied.
fn settle(form: &HtmlFormElement, clear: bool) {
    if !clear {
        let elements = form.elements();
        for index in 0..elements.length() {
            let Some(element) = elements.item(index) else {
                continue;
            };
            if let Some(input) = element.dyn_ref::<HtmlInputElement>()
                && input.type_() != "password"
            {
                input.set_default_value(&input.value());
                input.set_default_checked(input.checked());
            } else if let Some(area) = element.dyn_ref::<HtmlTextAreaElement>() {
                let _ = area.set_default_value(&area.value());
            }
        }
    }
    form.reset();
}

/// A form in a popover has done its work when it is accepted.
fn close_popover(form: &HtmlFormElement) {
    if let Ok(Some(popover)) = form.closest("[popover]")
        && let Ok(hide) = js_sys::Reflect::get(&popover, &JsValue::from_str("hidePopover"))
        && let Ok(hide) = hide.dyn_into::<js_sys::Function>()
    {
        // Throws when it is closed already, which is as good.
        let _ = hide.call0(&popover);
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

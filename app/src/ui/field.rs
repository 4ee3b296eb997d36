//! Form parts: fields with their labels, hints and errors, and the submit button.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlSelectElement;

use super::form_state::CURRENT_PASSWORD;
use super::icon::{Icon, icon};
use super::js_interop::{property, set_property};
use super::rows::{LiveRow, live_rows};
use super::snapshot::follow_stored;
use super::view::view;
use crate::ui::form_state::{FormState, posted_list_name, posted_name};

/// A hidden value. `name` is the server function's name for it: `form[workspace]`, or `workspace`.
#[component]
pub fn Hidden(name: &'static str, #[prop(into)] value: Signal<String>) -> impl IntoView {
    view! { <input type="hidden" name=name value=move || value.get()/> }
}

/// A labeled text field with its hint and error.
#[component]
pub fn Field(
    name: &'static str,
    label: &'static str,
    #[prop(default = "text")] kind: &'static str,
    /// The stored value. A change in another window shows until something is typed here.
    #[prop(optional, into)]
    value: Signal<String>,
    #[prop(optional, into)] hint: Option<Signal<String>>,
    #[prop(default = "off")] autocomplete: &'static str,
    /// A new value does not take effect when it is saved: the field goes back to the stored value.
    #[prop(optional)]
    not_yet: bool,
    /// Shown before the field, like `/w/` before a slug.
    #[prop(optional)]
    before: &'static str,
    #[prop(optional)] disabled: bool,
    /// Called with the text while it is being typed.
    #[prop(optional, into)]
    on_typed: Option<Callback<String>>,
    /// Shown below the field while typing.
    #[prop(optional)]
    remark: Option<AnyView>,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let id = state.id(name);
    let first_wrong = state.claim(name);
    let typed = if kind == "password" {
        None
    } else {
        state.typed(name)
    };
    let shown = move || typed.clone().unwrap_or_else(|| value.get());
    let (hint_id, remark_id) = (format!("{id}-hint"), format!("{id}-remark"));
    let mut describing = Vec::new();
    if hint.is_some() {
        describing.push(hint_id.clone());
    }
    if remark.is_some() {
        describing.push(remark_id.clone());
    }
    let input = view! {
        <input
            class="input"
            data-not-yet=not_yet.then_some("true")
            id=id.clone()
            name=posted_name(name)
            type=kind
            value=shown
            autocomplete=autocomplete
            autocapitalize=if kind == "text" { None } else { Some("none") }
            spellcheck=(kind != "text" || !before.is_empty()).then_some("false")
            disabled=disabled
            autofocus=first_wrong
            aria-invalid=state.invalid(name)
            aria-describedby=state.described_by(name, describing)
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
            {hint.map(|hint| view! { <p class="hint" id=hint_id>{move || hint.get()}</p> })}
            {remark.map(|remark| view! { <div class="hint" id=remark_id aria-live="polite">{remark}</div> })}
            <FieldError state name/>
        </div>
    }
}

/// A labeled multi-line field.
#[component]
pub fn TextArea(
    name: &'static str,
    label: &'static str,
    #[prop(optional, into)] hint: Option<String>,
    #[prop(default = 1)] rows: u32,
    #[prop(default = "off")] autocomplete: &'static str,
    /// Each entry has its own result: refused entries stay in the field.
    #[prop(optional)]
    each: bool,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let id = state.id(name);
    let first_wrong = state.claim(name);
    let hint_id = format!("{id}-hint");
    let describing = hint.iter().map(|_| hint_id.clone()).collect();
    if each {
        let id = id.clone();
        Effect::new(move || {
            if let Some(refused) = state.refused()
                && let Some(area) = document().get_element_by_id(&id)
                // Newly typed text stays; the results name what was refused.
                && property(&area, "value").and_then(|text| text.as_string()).is_none_or(|text| text.is_empty())
            {
                set_property(&area, "value", &refused.into());
            }
        });
    }
    let text = untrack(|| state.refused())
        .filter(|_| each)
        .or_else(|| state.typed(name));
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
                autofocus=first_wrong
                aria-invalid=state.invalid(name)
                aria-describedby=state.described_by(name, describing)
            >{text}</textarea>
            {hint.map(|hint| view! { <p class="hint" id=hint_id>{hint}</p> })}
            <FieldError state name/>
        </div>
    }
}

/// A labeled select. `options`: value and text. The chosen value stays when the options change, as long as it is one of
/// them; the initial value follows `selected` until something else is chosen.
#[component]
pub fn Select(
    name: &'static str,
    label: &'static str,
    #[prop(into)] options: Signal<Vec<(String, String)>>,
    #[prop(optional, into)] selected: Signal<String>,
    #[prop(optional)] hint: Option<AnyView>,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let id = state.id(name);
    let first_wrong = state.claim(name);
    let was_chosen = StoredValue::new(state.chosen(name));
    let field = id.clone();
    Effect::new(move |before: Option<String>| {
        let stored = selected.get();
        if before.is_some_and(|before| before != stored)
            && let Some(select) = document().get_element_by_id(&field)
            && let Some(select) = select.dyn_ref::<HtmlSelectElement>()
        {
            follow_stored(select, &stored);
        }
        stored
    });
    let option = move |option: LiveRow<(String, String)>| {
        let value = option.with_untracked(|(value, _)| value.clone());
        let chosen = was_chosen
            .get_value()
            .unwrap_or_else(|| selected.get_untracked());
        let chosen = value == chosen;
        view! { <option value=value selected=chosen>{move || option.with(|(_, text)| text.clone())}</option> }
    };
    view! {
        <div class="field">
            <label for=id.clone()>{label}</label>
            <select
                class="select"
                id=id
                name=posted_name(name)
                autofocus=first_wrong
                aria-invalid=state.invalid(name)
                aria-describedby=state.described_by(name, Vec::new())
            >
                {live_rows(move || options.get(), |(value, _)| value.clone(), option)}
            </select>
            {hint}
            <FieldError state name/>
        </div>
    }
}

/// One of several checkboxes that post a list: `form[scopes][]`.
#[component]
pub fn Checkbox(
    name: &'static str,
    #[prop(into)] value: String,
    label: &'static str,
    #[prop(optional)] checked: bool,
    /// Sets whether it is checked, for buttons that check several.
    #[prop(optional_no_strip)]
    picked: Option<bool>,
    #[prop(optional)] hint: Option<AnyView>,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let checked = picked
        .or_else(|| state.checked(name, &value))
        .unwrap_or(checked);
    view! {
        <div class="check">
            <label>
                <input
                    type="checkbox" name=posted_list_name(name) value=value checked=checked
                    aria-invalid=state.invalid(name) aria-describedby=state.described_by(name, Vec::new())
                />
                <span>{label}</span>
            </label>
            {hint}
        </div>
    }
}

/// A choice among a few visible options. `options`: value, text and explanation.
#[component]
pub fn Radios(
    name: &'static str,
    label: &'static str,
    options: Vec<(&'static str, &'static str, &'static str)>,
    selected: &'static str,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let selected = state.chosen(name).unwrap_or_else(|| selected.to_owned());
    let hint_id = format!("{}-hint", state.id(name));
    state.claim(name);
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
            <FieldError state name/>
        </fieldset>
    }
}

/// The error of a group of checkboxes.
#[component]
pub fn GroupError(name: &'static str) -> impl IntoView {
    let state = expect_context::<FormState>();
    state.claim(name);
    view! { <FieldError state name/> }
}

#[component]
fn FieldError(state: FormState, name: &'static str) -> impl IntoView {
    move || {
        let id = format!("{}-error", state.id(name));
        state.error(name).map(|text| {
            view! {
                <p class="field-error" id=id>{icon(Icon::Warning)}<span>{text}</span></p>
            }
        })
    }
}

/// Whether the sign-in was too old for sensitive changes when the page was loaded.
#[derive(Clone, Copy)]
pub struct StaleSignIn(pub Signal<bool>);

/// The same, for a form that may need the current password: it then asks for it from the start.
pub fn use_stale_sign_in() -> Signal<bool> {
    use_context::<StaleSignIn>().map_or_else(|| Signal::derive(|| false), |stale| stale.0)
}

/// Asks for the current password in a form without such a field, once the server requires it.
#[component]
pub(super) fn PasswordOnDemand(state: FormState) -> impl IntoView {
    let asked =
        Memo::new(move |_| state.error(CURRENT_PASSWORD).is_some() && !state.has(CURRENT_PASSWORD));
    let id = state.id(CURRENT_PASSWORD);
    move || {
        let id = id.clone();
        asked.get().then(|| view! {
            <div class="field">
                <label for=id.clone()>"Current Password"</label>
                <input
                    class="input" id=id name="_current_password" type="password" autocomplete="current-password"
                    autocapitalize="none" autofocus=true
                    aria-invalid=state.invalid(CURRENT_PASSWORD)
                    aria-describedby=state.described_by(CURRENT_PASSWORD, Vec::new())
                />
                <FieldError state name=CURRENT_PASSWORD/>
            </div>
        })
    }
}

/// Asks for the current password if a fresh sign-in is needed: if the page knows that this one is old, or once the
/// server requires it. It stays until the form is accepted.
#[component]
pub fn CurrentPassword(
    #[prop(optional, into)] ask: Signal<bool>,
    #[prop(default = "For your security, confirm your password")] hint: &'static str,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    // Also while it is hidden: it appears as soon as there is an error.
    state.claim(CURRENT_PASSWORD);
    let shown = Memo::new(move |before: Option<&bool>| {
        ask.get()
            || state.error(CURRENT_PASSWORD).is_some()
            || (before == Some(&true)
                && state
                    .outcome
                    .with(|outcome| matches!(outcome, Some(Err(_)))))
    });
    move || {
        shown.get().then(|| view! {
            <Field
                name=CURRENT_PASSWORD label="Current Password" kind="password" autocomplete="current-password" hint=hint
            />
        })
    }
}

/// Tells a password manager whose new password it is. It is invisible and not posted.
#[component]
pub fn Username(#[prop(into)] value: Signal<String>) -> impl IntoView {
    view! { <input type="text" autocomplete="username" value=move || value.get() readonly=true hidden=true/> }
}

/// The submit button of the form.
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

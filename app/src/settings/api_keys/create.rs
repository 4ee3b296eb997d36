//! The form for a new key: name, type, scopes, allowed IP addresses and expiry.

use domain::api_keys::{Expiry, KeysView, SELECT_ALL, SELECT_NONE, SELECT_READ, picked};
use domain::catalog::{Mode, Scope, ScopeGroup};
use leptos::ev::MouseEvent;
use leptos::prelude::*;
use server_fn::ServerFn;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlInputElement};

use super::api::CreateApiKey;
use crate::ui::{
    Card, Checkbox, CurrentPassword, Data, Field, Form, GroupError, Hidden, Radios, Select, Submit,
    TextArea, use_typed, view,
};

pub fn create(data: Data<KeysView>, list: Signal<String>) -> AnyView {
    let workspace = data.with_untracked(|view| view.workspace.to_string());
    let ask = Signal::derive(move || data.with(|view| view.ask_password));
    let modes = vec![
        (
            Mode::Live.as_str(),
            Mode::Live.label(),
            "Production. Works with real data.",
        ),
        (
            Mode::Test.as_str(),
            Mode::Test.label(),
            "Development. Only sees and creates test data.",
        ),
    ];
    let expiries: Vec<(String, String)> = Expiry::ALL
        .map(|expiry| (expiry.to_string(), expiry.label().to_owned()))
        .to_vec();
    view! {
        <Card title="New Key" text="Keys belong to the workspace and keep working if their creator leaves.">
            <Form action=CreateApiKey::PATH guard=true>
                <Hidden name="form[workspace]" value=workspace/>
                // Enter presses this button. Without it, Enter would press the first button that only checks boxes.
                <button hidden></button>
                <Field name="name" label="Name" hint="What is this key for? e.g. “Website form”"/>
                <Radios name="mode" label="Type" options=modes selected="live"/>
                <Scopes/>
                <div class="field-row key-limits">
                    <TextArea
                        name="networks" label="Allowed IP addresses" rows=2
                        hint="One address or CIDR range per line, e.g. 203.0.113.0/24. Leave blank to allow any IP."
                    />
                    <div class="field-column">
                        <Select name="expiry" label="Expires" options=expiries selected="never"/>
                        <div class="expiry-date"><Field name="expires_on" label="Expires on" kind="date"/></div>
                    </div>
                </div>
                <CurrentPassword ask/>
                <div class="form-actions">
                    <Submit>"Create Key"</Submit>
                    <a class="button" href=move || list.get()>"Cancel"</a>
                </div>
            </Form>
        </Card>
    }
    .into_any()
}

/// The scopes by group, with buttons that check several. Without scripts, such a button posts the form, and the page
/// comes back with the typed values and those boxes checked.
#[component]
fn Scopes() -> impl IntoView {
    let pressed = use_typed("select").unwrap_or_default();
    let pressed = &pressed;
    view! {
        <fieldset class="scopes">
            <legend>"Scopes"</legend>
            <div class="row">
                {pick("Select All", "", SELECT_ALL, "fieldset.scopes", Some(""))}
                {pick("Read Only", "", SELECT_READ, "fieldset.scopes", Some(":read"))}
                {pick("Clear", "", SELECT_NONE, "fieldset.scopes", None)}
            </div>
            <div class="scope-groups">
                {ScopeGroup::ALL.map(|group| view! {
                    <fieldset class="scope-group">
                        <legend>{group.label()}</legend>
                        {pick("All", group.label(), group.as_str(), "fieldset", Some(""))}
                        {group.scopes().map(|scope| scope_box(scope, pressed)).collect_view()}
                    </fieldset>
                }).collect_view()}
            </div>
            <GroupError name="scopes"/>
        </fieldset>
    }
}

fn scope_box(scope: Scope, pressed: &str) -> impl IntoView + use<> {
    view! {
        <Checkbox name="scopes" value=scope.as_str() label=scope.label() picked=picked(pressed, scope)/>
    }
}

/// A button that checks the boxes around it whose value ends in `ending`, or none. `of` names the group for screen
/// readers.
fn pick(
    text: &'static str,
    of: &'static str,
    value: &'static str,
    layout: &'static str,
    ending: Option<&'static str>,
) -> AnyView {
    let on_click = move |event: MouseEvent| {
        event.prevent_default();
        check_boxes(&event, layout, ending);
    };
    let name = (!of.is_empty()).then(|| format!("{text} of {of}"));
    view! {
        <button name="form[select]" value=value class="button button-small" aria-label=name on:click=on_click>{text}</button>
    }
    .into_any()
}

fn check_boxes(event: &MouseEvent, layout: &str, ending: Option<&str>) {
    let button = event
        .current_target()
        .and_then(|target| target.dyn_into::<Element>().ok());
    let Some(Ok(Some(layout))) = button.map(|button| button.closest(layout)) else {
        return;
    };
    let Ok(boxes) = layout.query_selector_all("input[type=checkbox]") else {
        return;
    };
    for index in 0..boxes.length() {
        if let Some(node) = boxes.get(index)
            && let Some(input) = node.dyn_ref::<HtmlInputElement>()
        {
            input.set_checked(ending.is_some_and(|ending| input.value().ends_with(ending)));
        }
    }
}

//! A form that was posted from a page older than the server: the page reloads, and what was typed is filled in again.

use leptos::ev::MouseEvent;
use leptos::prelude::document;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlFormElement};

use super::js_interop::Storage;
use super::snapshot::{fill, typed_in};
use super::unsaved::reload;

/// Storage keys: the action of the form to fill in after the page has reloaded, and what was typed into it.
const KEPT_FORM: &str = "wheelhouse-form";
const KEPT: &str = "wheelhouse-typed";

/// Keeps what was typed into the form around the button, except passwords, and reloads the page.
pub fn keep_and_reload(event: &MouseEvent) {
    let form = event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok())
        .and_then(|button| button.closest("form").ok().flatten())
        .and_then(|form| form.dyn_into::<HtmlFormElement>().ok());
    if let (Some(form), Some(storage)) = (form, Storage::open("sessionStorage")) {
        storage.set(KEPT_FORM, &form.get_attribute("action").unwrap_or_default());
        storage.set(KEPT, &typed_in(&form));
    }
    reload();
}

/// Fills in what was kept, into the form with the same action and key.
pub fn restore_kept() {
    let Some(storage) = Storage::open("sessionStorage") else {
        return;
    };
    let (Some(action), Some(typed)) = (storage.get(KEPT_FORM), storage.get(KEPT)) else {
        return;
    };
    storage.remove(KEPT_FORM);
    storage.remove(KEPT);
    let Ok(forms) = document().query_selector_all("form") else {
        return;
    };
    for index in 0..forms.length() {
        if let Some(form) = forms.item(index)
            && let Ok(form) = form.dyn_into::<HtmlFormElement>()
            && form.get_attribute("action").as_deref() == Some(action.as_str())
            && fill(&form, &typed)
        {
            return;
        }
    }
}

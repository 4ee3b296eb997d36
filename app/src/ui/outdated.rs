//! A form that was posted from a page older than the server: the page reloads, and what was typed is filled in again.

use leptos::ev::MouseEvent;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlFormElement, HtmlInputElement};

use super::js_interop::Storage;
use super::snapshot::{fill, typed_in};
use super::unsaved::reload;

/// Storage key of the form to fill in after the page has reloaded.
const KEPT: &str = "wheelhouse-typed";

/// Identifies a form on its page.
fn identity(form: &HtmlFormElement) -> String {
    let key = form
        .query_selector("input[name=_form]")
        .ok()
        .flatten()
        .and_then(|input| input.dyn_into::<HtmlInputElement>().ok())
        .map(|input| input.value());
    let action = form.get_attribute("action");
    format!("{} {}", action.unwrap_or_default(), key.unwrap_or_default())
}

/// Keeps what was typed into the form around the button, except passwords, and reloads the page.
pub fn keep_and_reload(event: &MouseEvent) {
    let form = event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok())
        .and_then(|button| button.closest("form").ok().flatten())
        .and_then(|form| form.dyn_into::<HtmlFormElement>().ok());
    if let (Some(form), Some(storage)) = (form, Storage::open("sessionStorage")) {
        storage.set(KEPT, &format!("{}\n{}", identity(&form), typed_in(&form)));
    }
    reload();
}

/// Fills in what was kept for this form.
pub fn restore_kept(form: &HtmlFormElement) {
    let Some(storage) = Storage::open("sessionStorage") else {
        return;
    };
    let Some(kept) = storage.get(KEPT) else {
        return;
    };
    if let Some((whose, typed)) = kept.split_once('\n')
        && whose == identity(form)
    {
        storage.remove(KEPT);
        fill(form, typed);
    }
}

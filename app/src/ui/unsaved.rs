//! Asks before text that was typed and not saved is left behind.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, Event, HtmlInputElement, HtmlTextAreaElement};

const QUESTION: &str = "You have unsaved changes. Leave without saving?";

/// Watches links and the closing of the page.
pub fn provide_unsaved_guard() {
    Effect::new(|| {
        // Before the router: while the click goes down, not when it comes up.
        let on_click = Closure::<dyn FnMut(Event)>::new(|event: Event| {
            let target = event
                .target()
                .and_then(|target| target.dyn_into::<Element>().ok());
            let link = target.and_then(|target| target.closest("a[href]").ok().flatten());
            let Some(link) = link else { return };
            let stays = link.has_attribute("download") || link.get_attribute("target").is_some();
            if !stays && is_dirty() && !window().confirm_with_message(QUESTION).unwrap_or(true) {
                event.prevent_default();
                event.stop_immediate_propagation();
            }
        });
        let _ = document().add_event_listener_with_callback_and_bool(
            "click",
            on_click.as_ref().unchecked_ref(),
            true,
        );
        on_click.forget();

        let on_leave = Closure::<dyn FnMut(Event)>::new(|event: Event| {
            if is_dirty() {
                event.prevent_default();
            }
        });
        let _ = window()
            .add_event_listener_with_callback("beforeunload", on_leave.as_ref().unchecked_ref());
        on_leave.forget();
    });
}

/// Whether a guarded form holds something other than what it was loaded with.
fn is_dirty() -> bool {
    let Ok(fields) =
        document().query_selector_all("form[data-guard] :is(input:not([type=hidden]), textarea)")
    else {
        return false;
    };
    (0..fields.length())
        .filter_map(|index| fields.get(index))
        .any(|field| {
            if let Some(input) = field.dyn_ref::<HtmlInputElement>() {
                input.value() != input.default_value()
            } else if let Some(area) = field.dyn_ref::<HtmlTextAreaElement>() {
                area.default_value()
                    .is_ok_and(|default| default != area.value())
            } else {
                false
            }
        })
}

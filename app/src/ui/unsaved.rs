//! Asks before unsaved text is left behind: by a link, the palette, Back and Forward, a form that leads elsewhere, or
//! closing the page. One question, asked in one place.

use std::cell::{Cell, RefCell};

use leptos::prelude::*;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    Element, Event, HtmlAnchorElement, HtmlFormElement, HtmlInputElement, HtmlTextAreaElement,
    MouseEvent,
};

const QUESTION: &str = "Discard unsaved changes?";

thread_local! {
    /// The page is being left on purpose: do not ask again.
    static LEAVING: Cell<bool> = const { Cell::new(false) };
    /// The URL of the visible page: its path, and the rest. When Back is reported, the browser already has another URL.
    static SHOWN: RefCell<(String, String)> = const { RefCell::new((String::new(), String::new())) };
}

/// Whether the page can be left: nothing is unsaved, or the person agrees.
pub fn may_leave() -> bool {
    may_leave_but_for(None)
}

/// The same when a form is about to be posted: its own text is not left behind.
pub fn may_leave_but_for(form: Option<&HtmlFormElement>) -> bool {
    !is_dirty(form) || window().confirm_with_message(QUESTION).unwrap_or(true)
}

/// Loads another page, without a question.
pub fn leave_for(path: &str) {
    LEAVING.set(true);
    let _ = window().location().assign(path);
}

/// Loads this page again, without a question.
pub fn reload() {
    LEAVING.set(true);
    let _ = window().location().reload();
}

/// The page is still open: ask again from now on.
pub fn stayed() {
    LEAVING.set(false);
}

/// Whether a path of this site is another page than the visible one: not just another query or fragment.
pub fn leads_away(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    window()
        .location()
        .pathname()
        .is_ok_and(|here| here != path)
}

/// Records which page is visible.
pub fn shows(path: String, rest: String) {
    SHOWN.replace((path, rest));
}

/// Watches links, the browser's Back and Forward, and the closing of the page. Call it before the router is created:
/// the first listener hears of Back first.
pub fn provide_unsaved_guard() {
    if cfg!(target_arch = "wasm32") {
        watch();
    }
}

fn watch() {
    // In the capture phase, before the click reaches the router.
    let on_click = Closure::<dyn FnMut(MouseEvent)>::new(|event: MouseEvent| {
        if follows_link(&event) && !may_leave() {
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

    let on_travel = Closure::<dyn FnMut(Event)>::new(|event: Event| {
        let (path, rest) = SHOWN.with_borrow(Clone::clone);
        if path.is_empty() || !leads_away(&path) || may_leave() {
            return;
        }
        event.stop_immediate_propagation();
        // The URL has already changed: put the old one back on top.
        if let Ok(history) = window().history() {
            let here = format!("{path}{rest}");
            let _ = history.push_state_with_url(&JsValue::NULL, "", Some(&here));
        }
    });
    let _ =
        window().add_event_listener_with_callback("popstate", on_travel.as_ref().unchecked_ref());
    on_travel.forget();

    let on_leave = Closure::<dyn FnMut(Event)>::new(|event: Event| {
        if !LEAVING.get() && is_dirty(None) {
            event.prevent_default();
        }
    });
    let _ = window()
        .add_event_listener_with_callback("beforeunload", on_leave.as_ref().unchecked_ref());
    on_leave.forget();
}

/// Whether a click makes the router show another page. Clicks that open another tab or load a page do not count: the
/// first leaves nothing behind, and before the second the browser asks.
fn follows_link(event: &MouseEvent) -> bool {
    if event.button() != 0
        || event.ctrl_key()
        || event.meta_key()
        || event.shift_key()
        || event.alt_key()
    {
        return false;
    }
    let link = event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok())
        .and_then(|target| target.closest("a[href]").ok().flatten())
        .and_then(|link| link.dyn_into::<HtmlAnchorElement>().ok());
    link.is_some_and(|link| {
        link.target().is_empty()
            && !link.has_attribute("download")
            && link.rel() != "external"
            && window()
                .location()
                .origin()
                .is_ok_and(|origin| origin == link.origin())
            && leads_away(&link.pathname())
    })
}

/// Whether a guarded form, other than `but`, differs from what it was loaded with.
fn is_dirty(but: Option<&HtmlFormElement>) -> bool {
    let Ok(fields) =
        document().query_selector_all("form[data-guard] :is(input:not([type=hidden]), textarea)")
    else {
        return false;
    };
    (0..fields.length())
        .filter_map(|index| fields.get(index))
        .any(|field| {
            if let Some(input) = field.dyn_ref::<HtmlInputElement>() {
                input.form().as_ref() != but && input.value() != input.default_value()
            } else if let Some(area) = field.dyn_ref::<HtmlTextAreaElement>() {
                area.form().as_ref() != but
                    && area
                        .default_value()
                        .is_ok_and(|default| default != area.value())
            } else {
                false
            }
        })
}

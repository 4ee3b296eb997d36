//! Effects of navigation without a page load: menus and dialogs close, the focus follows, and the section that the URL
//! names (`#change-password`) is scrolled to once it is there.

use std::cell::Cell;

use leptos::prelude::*;
use leptos_router::hooks::use_location;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, HtmlElement};

use super::dialog::close_panel;
use super::flash::forgetting_flash;
use super::unsaved::shows;
use crate::ui::url::search;

/// Marks the section that was opened. (`:target` works only for pages that were loaded.)
const MARK: &str = "data-target";
const CONTROLS: &str =
    ":is(input:not([type=hidden], [hidden]), textarea, select, button, summary, a[href])";

thread_local! {
    /// A page was opened, and the focus is not on it yet.
    static ARRIVING: Cell<bool> = const { Cell::new(false) };
}

/// Used once, inside the router.
#[component]
pub fn NavigationEffects() -> impl IntoView {
    let location = use_location();
    Effect::new(move || {
        let rest = format!("{}{}", search(&location.search.get()), location.hash.get());
        let path = location.pathname.get();
        shows(path.clone(), rest.clone());
        // After the router has done its part.
        request_animation_frame(move || {
            let is_shown = location.pathname.try_get_untracked().as_ref() == Some(&path);
            if is_shown {
                name_in_address_bar(&format!("{path}{rest}"));
            }
        });
    });
    let forget_flash = forgetting_flash();
    Effect::new(move |before: Option<String>| {
        let path = location.pathname.get();
        let hash = location.hash.get();
        if before.is_some_and(|before| before != path) {
            close_popovers();
            forget_flash();
            ARRIVING.set(true);
        }
        // After the page is drawn. Data that is still loading arrives on its own, see the page loader.
        request_animation_frame(move || arrive(&hash));
        path
    });
}

/// Writes the URL of the visible page where the router did not: after going back over several pages, the router takes
/// the last one for the visible one and does not write the same URL twice.
fn name_in_address_bar(address: &str) {
    let bar = window().location();
    let (Ok(path), Ok(query), Ok(hash)) = (bar.pathname(), bar.search(), bar.hash()) else {
        return;
    };
    if format!("{path}{query}{hash}") != address
        && let Ok(history) = window().history()
    {
        let _ = history.push_state_with_url(&JsValue::NULL, "", Some(address));
    }
}

/// Moves the focus to the section in the URL, or to the beginning of the page.
pub fn arrive(hash: &str) {
    let place = hash.trim_start_matches('#');
    if !place.is_empty() && go_to(place) {
        ARRIVING.set(false);
    } else if ARRIVING.get()
        && let Some(main) = document().get_element_by_id("main")
    {
        // If the focus is already on the page, someone is working there.
        if !main.contains(document().active_element().as_deref()) {
            focus(&main);
        }
        ARRIVING.set(!place.is_empty());
    }
}

fn go_to(place: &str) -> bool {
    let document = document();
    let Some(target) = document.get_element_by_id(place) else {
        return false;
    };
    if let Ok(Some(before)) = document.query_selector(&format!("[{MARK}]")) {
        let _ = before.remove_attribute(MARK);
    }
    let _ = target.set_attribute(MARK, "true");
    if let Ok(Some(details)) = target.closest("details") {
        let _ = details.set_attribute("open", "");
    }
    target.scroll_into_view();
    if target.has_attribute("tabindex") {
        focus(&target);
        return true;
    }
    // A heading stands for its section.
    let named = document.query_selector(&format!("[aria-labelledby=\"{place}\"]"));
    let part = named.ok().flatten().unwrap_or_else(|| target.clone());
    if let Ok(Some(control)) = part.query_selector(CONTROLS) {
        focus(&control);
    } else {
        let _ = target.set_attribute("tabindex", "-1");
        focus(&target);
    }
    true
}

/// Changes the page. If that removes the focused element, the focus goes to the section around it; otherwise it would
/// move to the beginning of the document.
pub fn keeping_focus(change: impl FnOnce()) {
    let held = document().active_element();
    let mut layout = Vec::new();
    let mut next = held.clone();
    while let Some(element) = next {
        next = element.parent_element();
        if element.matches("section, main").unwrap_or(false) {
            layout.push(element);
        }
    }
    change();
    let Some(held) = held.filter(|_| !layout.is_empty()) else {
        return;
    };
    // After the page is drawn.
    request_animation_frame(move || {
        let nowhere = document()
            .active_element()
            .is_none_or(|element| element.tag_name() == "BODY");
        if nowhere
            && !held.is_connected()
            && let Some(part) = layout.iter().find(|part| part.is_connected())
        {
            let _ = part.set_attribute("tabindex", "-1");
            focus(part);
        }
    });
}

fn focus(element: &Element) {
    if let Some(element) = element.dyn_ref::<HtmlElement>() {
        let _ = element.focus();
    }
}

fn close_popovers() {
    let Ok(open) = document().query_selector_all(":popover-open, dialog:modal") else {
        return;
    };
    for index in 0..open.length() {
        if let Some(node) = open.get(index)
            && let Some(panel) = node.dyn_ref::<Element>()
        {
            close_panel(panel);
        }
    }
}

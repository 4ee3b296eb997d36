//! Dialogs: native and modal, with a way out that everybody sees: Cancel, a cross and Esc. The focus goes into one and
//! comes back to the button that opened it.
//!
//! That button names the dialog by `commandfor` and `command`, so that browsers which know these need no script for
//! it. For the others the script does the same, and without script the dialog opens as a popover.

use leptos::context::Provider;
use leptos::prelude::*;
use leptos_router::hooks::use_location;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, Event, HtmlDialogElement, HtmlElement, HtmlFormElement, MouseEvent};

use super::icon::{Icon, icon};
use super::js_interop::method;
use super::page_loader::search;
use super::view::view;

/// The id of a dialog, fit for HTML: `link` and `inv_01…` give `link-inv_01…`.
pub fn dialog_id(what: &str, key: &str) -> String {
    format!("{what}-{key}")
}

/// The dialog that one is in.
#[derive(Clone)]
struct Within {
    id: String,
    open: bool,
}

/// A dialog, which [`OpenDialog`] opens. `open` lets it stand open from the start: after a form in it was refused
/// without script, what is wrong could not be seen otherwise.
#[component]
pub fn Dialog(
    #[prop(into)] id: String,
    #[prop(into)] title: Signal<String>,
    #[prop(optional)] open: bool,
    children: Children,
) -> impl IntoView {
    let title_id = format!("{id}-title");
    let labelled_by = title_id.clone();
    let within = Within {
        id: id.clone(),
        open,
    };
    if open {
        let id = id.clone();
        Effect::new(move || {
            if let Some(dialog) = dialog_of(&id) {
                // It stands in the page as the server sent it. Not closed, as that would empty its form.
                let _ = dialog.remove_attribute("open");
                let _ = dialog.show_modal();
            }
        });
    }
    view! {
        <dialog class="dialog" id=id open=open popover=(!open).then_some("auto") aria-labelledby=labelled_by>
            <h2 class="dialog-title" id=title_id>{move || title.get()}</h2>
            <Provider value=within>
                {children()}
                // Last, so that the focus goes to what the dialog is about.
                <WayOut class="icon-button dialog-close" label="Close">{icon(Icon::X)}</WayOut>
            </Provider>
        </dialog>
    }
}

/// The button that opens the dialog of this id.
#[component]
pub fn OpenDialog(
    #[prop(into)] dialog: String,
    #[prop(default = "button")] class: &'static str,
    /// What an icon button is called.
    #[prop(optional)]
    label: Option<&'static str>,
    children: Children,
) -> impl IntoView {
    view! {
        <button
            type="button" class=class aria-label=label title=label aria-haspopup="dialog"
            commandfor=dialog.clone() command="show-modal" popovertarget=dialog
        >
            {children()}
        </button>
    }
}

/// The button of a dialog that leaves everything as it was.
#[component]
pub fn CancelDialog(#[prop(default = "Cancel")] text: &'static str) -> impl IntoView {
    view! { <WayOut class="button">{text}</WayOut> }
}

/// Closes the dialog around. Where that stands open without script, it is a link to the same page without it.
#[component]
fn WayOut(
    class: &'static str,
    #[prop(optional)] label: Option<&'static str>,
    children: Children,
) -> impl IntoView {
    let Within { id, open } = expect_context();
    if open {
        let location = use_location();
        let here = move || {
            let query = location.search.get();
            format!("{}{}", location.pathname.get(), search(&query))
        };
        return view! { <a class=class href=here rel="external" data-closes="true" aria-label=label>{children()}</a> };
    }
    view! {
        <button
            type="button" class=class data-closes="true" aria-label=label
            commandfor=id.clone() command="close" popovertarget=id popovertargetaction="hide"
        >
            {children()}
        </button>
    }
}

fn dialog_of(id: &str) -> Option<HtmlDialogElement> {
    document().get_element_by_id(id)?.dyn_into().ok()
}

/// Opens the dialog of this id.
pub fn show_dialog(id: &str) {
    if let Some(dialog) = dialog_of(id)
        && !dialog.open()
    {
        // Before the script ran, it may have been opened as a popover.
        method(&dialog, "hidePopover", &[]);
        let _ = dialog.show_modal();
    }
}

/// Closes a dialog or a popover.
pub fn close_panel(panel: &Element) {
    match panel.dyn_ref::<HtmlDialogElement>() {
        Some(dialog) if dialog.open() => dialog.close(),
        // Throws when it is closed already, which is as good.
        _ => drop(method(panel, "hidePopover", &[])),
    }
}

/// Watches the buttons that open and close dialogs. To be called once.
pub fn provide_dialogs() {
    if cfg!(target_arch = "wasm32") {
        watch();
    }
}

fn watch() {
    let on_click = Closure::<dyn FnMut(MouseEvent)>::new(|event: MouseEvent| {
        // Whoever has handled the click already does without.
        if !event.default_prevented()
            && let Some(target) = element(event.target())
            && follow(&target)
        {
            event.prevent_default();
        }
    });
    let _ = document().add_event_listener_with_callback("click", on_click.as_ref().unchecked_ref());
    on_click.forget();

    let on_close = Closure::<dyn FnMut(Event)>::new(|event: Event| {
        if let Some(dialog) = element(event.target())
            && dialog.matches("dialog.dialog").unwrap_or(false)
        {
            closed(&dialog);
        }
    });
    // It does not bubble.
    let _ = document().add_event_listener_with_callback_and_bool(
        "close",
        on_close.as_ref().unchecked_ref(),
        true,
    );
    on_close.forget();
}

fn element(target: Option<web_sys::EventTarget>) -> Option<Element> {
    target?.dyn_into().ok()
}

/// Does what was clicked on asks for, and says whether that was anything.
fn follow(target: &Element) -> bool {
    let closest = |selector: &str| target.closest(selector).ok().flatten();
    if closest("[data-closes]").is_some() {
        let dialog = closest("dialog");
        return dialog.inspect(close_panel).is_some();
    }
    let opener = closest("button[command=\"show-modal\"]");
    let id = opener.and_then(|opener| opener.get_attribute("commandfor"));
    id.inspect(|id| show_dialog(id)).is_some()
}

/// What was left in it is not there the next time, and the focus is back where it came from, also where the browser
/// did not give it to a button that was clicked.
fn closed(dialog: &Element) {
    if let Ok(forms) = dialog.query_selector_all("form") {
        for index in 0..forms.length() {
            let form = forms.get(index);
            if let Some(form) = form
                .as_ref()
                .and_then(|node| node.dyn_ref::<HtmlFormElement>())
            {
                form.reset();
            }
        }
    }
    let document = document();
    let lost = document
        .active_element()
        .is_none_or(|element| element.tag_name() == "BODY");
    let opener = format!("[command=\"show-modal\"][commandfor=\"{}\"]", dialog.id());
    if lost
        && let Ok(Some(opener)) = document.query_selector(&opener)
        && let Some(opener) = opener.dyn_ref::<HtmlElement>()
    {
        let _ = opener.focus();
    }
}

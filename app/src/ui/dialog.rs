//! Dialogs: native and modal, with a visible way out: Cancel, a close button and Esc. The focus moves into the dialog
//! and returns to the button that opened it.
//!
//! That button refers to the dialog by `commandfor` and `command`, so browsers that support these need no script. For
//! other browsers the script does the same, and without script the dialog opens as a popover.

use leptos::context::Provider;
use leptos::prelude::*;
use leptos_router::hooks::use_location;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, Event, HtmlDialogElement, HtmlElement, HtmlFormElement, MouseEvent};

use super::icon::{Icon, icon};
use super::js_interop::method;
use super::view::view;
use crate::ui::url::search;

/// The id of a dialog as an HTML id: `link` and `inv_01…` give `link-inv_01…`.
pub fn dialog_id(what: &str, key: &str) -> String {
    format!("{what}-{key}")
}

/// The surrounding dialog.
#[derive(Clone)]
struct Within {
    id: String,
    open: bool,
}

/// A dialog that [`OpenDialog`] opens. `open` opens it from the start: after a form in it was refused without script,
/// the error would otherwise be invisible.
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
                // It is in the page as the server sent it. It is not closed, because that would empty its form.
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
                // Last, so that the focus goes to the content of the dialog.
                <WayOut class="icon-button dialog-close" label="Close">{icon(Icon::X)}</WayOut>
            </Provider>
        </dialog>
    }
}

/// The button that opens the dialog with this id.
#[component]
pub fn OpenDialog(
    #[prop(into)] dialog: String,
    #[prop(default = "button")] class: &'static str,
    /// The name of an icon button.
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

/// The button of a dialog that changes nothing.
#[component]
pub fn CancelDialog(#[prop(default = "Cancel")] text: &'static str) -> impl IntoView {
    view! { <WayOut class="button">{text}</WayOut> }
}

/// Closes the surrounding dialog. If the dialog is open without script, it is a link to the same page without it.
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

/// Opens the dialog with this id.
pub fn show_dialog(id: &str) {
    if let Some(dialog) = dialog_of(id)
        && !dialog.open()
    {
        // Before the script ran, it may have opened as a popover.
        method(&dialog, "hidePopover", &[]);
        let _ = dialog.show_modal();
    }
}

/// Closes a dialog or a popover.
pub fn close_panel(panel: &Element) {
    match panel.dyn_ref::<HtmlDialogElement>() {
        Some(dialog) if dialog.open() => dialog.close(),
        // Throws if it is already closed, which is fine.
        _ => drop(method(panel, "hidePopover", &[])),
    }
}

/// Watches the buttons that open and close dialogs. Call it once.
pub fn provide_dialogs() {
    if cfg!(target_arch = "wasm32") {
        watch();
    }
}

fn watch() {
    let on_click = Closure::<dyn FnMut(MouseEvent)>::new(|event: MouseEvent| {
        // Skips clicks that were already handled.
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

/// Does what the clicked element requests, and returns whether it requested anything.
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

/// Clears the dialog's content for the next time and returns the focus, also in browsers that did not focus the clicked
/// button.
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

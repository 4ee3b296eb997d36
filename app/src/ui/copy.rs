//! Copying a link. If the clipboard is available, the link is copied; otherwise (plain http, no script, a browser that
//! refuses) the link opens in a field to be selected by hand.

use leptos::ev::MouseEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use super::dialog::{CancelDialog, Dialog, dialog_id, show_dialog};
use super::icon::{Icon, icon};
use super::js_interop::method;
use super::status::StatusMessages;
use super::view::view;

/// Copies `text` to the clipboard and shows `done`. If that is not allowed, it selects the field with this id for
/// copying by hand; `refused` is called first if a browser refuses unexpectedly.
pub fn copy(
    text: &str,
    field: String,
    said: StatusMessages,
    done: &'static str,
    refused: impl Fn() + 'static,
) {
    let by_hand = move || {
        said.show("Selected. Press Ctrl+C (⌘C) to copy");
        select_once_there(field);
    };
    if !window().is_secure_context() {
        return by_hand();
    }
    let promise = window().navigator().clipboard().write_text(text);
    spawn_local(async move {
        if JsFuture::from(promise).await.is_ok() {
            said.show(done);
        } else {
            refused();
            by_hand();
        }
    });
}

/// How many frames a page change can take: some seconds.
const FRAMES: u32 = 300;

/// Focuses the field with this id once it is on the page.
pub fn select_once_there(id: String) {
    look_for(id, FRAMES);
}

fn look_for(id: String, frames: u32) {
    request_animation_frame(move || match document().get_element_by_id(&id) {
        Some(field) => {
            method(&field, "focus", &[]);
            method(&field, "select", &[]);
        }
        None if frames > 0 => look_for(id, frames - 1),
        None => {}
    });
}

#[component]
pub fn CopyLink(
    #[prop(into)] link: Signal<String>,
    /// Distinguishes this link from others on the page.
    #[prop(into)]
    key: String,
    /// Whose link it is, for people who do not see the row.
    #[prop(into)]
    about: String,
) -> impl IntoView {
    let id = dialog_id("link", &key);
    let said = expect_context::<StatusMessages>();
    let field = format!("{id}-text");
    let (panel, selected) = (id.clone(), field.clone());
    let on_click = move |event: MouseEvent| {
        if window().is_secure_context() {
            event.prevent_default();
        }
        let panel = panel.clone();
        let refused = move || show_dialog(&panel);
        let text = link.get_untracked();
        copy(&text, selected.clone(), said, "Link copied", refused);
    };
    view! {
        <button
            type="button" class="icon-button" aria-label="Copy Link" title="Copy Link" aria-haspopup="dialog"
            commandfor=id.clone() command="show-modal" popovertarget=id.clone() on:click=on_click
        >
            {icon(Icon::Copy)}
        </button>
        <Dialog id title="Invitation Link">
            <p class="dialog-text">{format!("Send this link to {about}. It works once and only for that email address.")}</p>
            <input id=field class="input" readonly=true value=move || link.get() aria-label="Invitation link"/>
            <div class="dialog-actions"><CancelDialog text="Done"/></div>
        </Dialog>
    }
}

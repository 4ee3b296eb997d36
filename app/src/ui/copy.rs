//! Copying a link. Where the clipboard may be used it is; elsewhere (plain http, no script, a browser that refuses) the
//! link opens in a field to be selected by hand.

use leptos::ev::MouseEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use super::frame::popover_id;
use super::icon::{Icon, icon};
use super::script::method;
use super::status::Said;
use super::view::view;

/// Puts `text` on the clipboard, and says `done`. Where that is not allowed it is selected in its field, to be copied by
/// hand; `refused` is called first where a browser says no that should have said yes.
pub fn copy(
    text: &str,
    field: NodeRef<leptos::html::Input>,
    said: Said,
    done: &'static str,
    refused: impl Fn() + 'static,
) {
    let by_hand = move || {
        said.tell("Press Ctrl+C to copy");
        request_animation_frame(move || {
            if let Some(field) = field.try_get_untracked().flatten() {
                let _ = field.focus();
                field.select();
            }
        });
    };
    if !window().is_secure_context() {
        return by_hand();
    }
    let promise = window().navigator().clipboard().write_text(text);
    spawn_local(async move {
        if JsFuture::from(promise).await.is_ok() {
            said.tell(done);
        } else {
            refused();
            by_hand();
        }
    });
}

#[component]
pub fn CopyLink(
    #[prop(into)] link: String,
    /// Tells this link from others on the page.
    #[prop(into)]
    key: String,
    /// Whose link it is, for those who do not see the row.
    #[prop(into)]
    about: String,
) -> impl IntoView {
    let id = popover_id("link", &key);
    let said = expect_context::<Said>();
    let field = NodeRef::<leptos::html::Input>::new();
    let text = StoredValue::new(link.clone());
    let panel = NodeRef::<leptos::html::Div>::new();
    let on_click = move |event: MouseEvent| {
        if window().is_secure_context() {
            event.prevent_default();
        }
        let refused = move || {
            if let Some(panel) = panel.try_get_untracked().flatten() {
                method(&panel, "showPopover", &[]);
            }
        };
        text.with_value(|text| copy(text, field, said, "Link copied", refused));
    };
    view! {
        <button type="button" class="icon-button" popovertarget=id.clone() aria-label="Copy Link" title="Copy Link" on:click=on_click>
            {icon(Icon::Copy)}
        </button>
        <div node_ref=panel class="dialog" popover="auto" id=id role="dialog" aria-label="Invitation link">
            <h3 class="dialog-title">"Invitation link"</h3>
            <p class="dialog-text">{format!("Hand it to {about}. It works once, for that address alone.")}</p>
            <input node_ref=field class="input" readonly=true value=link aria-label="Invitation link"/>
        </div>
    }
}

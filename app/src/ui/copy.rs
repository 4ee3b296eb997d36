//! Copying a link. Where the clipboard may be used it is; elsewhere (plain http, no script) the link opens in a field
//! to be selected by hand.

use leptos::ev::MouseEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use super::frame::popover_id;
use super::icon::{Icon, icon};
use super::status::Said;

/// Puts `text` on the clipboard where that is allowed, and says so; elsewhere selects it in its field.
pub fn copy(text: &str, field: NodeRef<leptos::html::Input>, said: Said, done: &'static str) {
    if window().is_secure_context() {
        let promise = window().navigator().clipboard().write_text(text);
        spawn_local(async move {
            said.tell(if JsFuture::from(promise).await.is_ok() {
                done
            } else {
                "It could not be copied"
            });
        });
        return;
    }
    said.tell("Press Ctrl+C to copy");
    request_animation_frame(move || {
        if let Some(field) = field.get_untracked() {
            let _ = field.focus();
            field.select();
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
    let on_click = move |event: MouseEvent| {
        if window().is_secure_context() {
            event.prevent_default();
        }
        text.with_value(|text| copy(text, field, said, "Link copied"));
    };
    view! {
        <button type="button" class="icon-button" popovertarget=id.clone() aria-label="Copy Link" title="Copy Link" on:click=on_click>
            {icon(Icon::Copy)}
        </button>
        <div class="dialog" popover="auto" id=id role="dialog" aria-label="Invitation link">
            <h3 class="dialog-title">"Invitation link"</h3>
            <p class="dialog-text">{format!("Hand it to {about}. It works once, for that address alone.")}</p>
            <input node_ref=field class="input" readonly=true value=link aria-label="Invitation link"/>
        </div>
    }
}

//! What is shown once: a new key, a new signing secret.

use leptos::prelude::*;
use web_sys::HtmlInputElement;

use super::copy::copy;
use super::icon::{Icon, icon};
use super::status::Said;
use super::view::view;

/// Forgets what was shown once when the page around is left. Called by the page itself: what stands inside a guard may
/// be drawn more than once.
pub fn forget_secret_on_leaving() {
    let said = expect_context::<Said>();
    on_cleanup(move || said.forget_secret());
}

/// How many frames a page may take to be put in place of the one that was left: some seconds.
const FRAMES: u32 = 300;

/// Puts the focus on the field once it is on the page: until then it cannot take it.
fn select_once_there(field: HtmlInputElement, frames: u32) {
    request_animation_frame(move || {
        if field.is_connected() {
            let _ = field.focus();
            field.select();
        } else if frames > 0 {
            select_once_there(field, frames - 1);
        }
    });
}

/// The secret that was just made, in a field to be selected or copied; nothing at any other time.
#[component]
pub fn NewSecret(
    label: &'static str,
    text: &'static str,
    /// A command that makes use of it.
    command: Callback<String, String>,
) -> impl IntoView {
    let said = expect_context::<Said>();
    move || {
        said.secret().map(|secret| {
            let field = NodeRef::<leptos::html::Input>::new();
            Effect::new(move || {
                if let Some(field) = field.get() {
                    select_once_there(field, FRAMES);
                }
            });
            let plain = secret.expose().to_owned();
            let on_copy = move |_| copy(secret.expose(), field, said, "Copied", || {});
            view! {
                <section class="card new-secret" aria-label="Shown once">
                    <div class="field">
                        <label for="new-secret">{label}</label>
                        <div class="secret-row">
                            <input
                                node_ref=field class="input mono" id="new-secret" readonly=true value=plain.clone()
                                autocomplete="off" spellcheck="false" aria-describedby="new-secret-hint"
                            />
                            <button type="button" class="button button-primary script-only" on:click=on_copy>
                                {icon(Icon::Copy)}"Copy"
                            </button>
                        </div>
                        <p class="hint" id="new-secret-hint">{text}</p>
                    </div>
                    <pre class="code">{command.run(plain)}</pre>
                    <div class="form-actions">
                        <button type="button" class="button script-only" on:click=move |_| said.forget_secret()>"Done"</button>
                    </div>
                </section>
            }
        })
    }
}

//! What is shown once: a new key, a new signing secret.

use leptos::prelude::*;

use super::copy::{copy, select_once_there};
use super::icon::{Icon, icon};
use super::status::StatusMessages;
use super::view::view;

/// Forgets what was shown once when the page around is left. Called by the page itself: what stands inside a guard may
/// be drawn more than once.
pub fn forget_secret_on_leaving() {
    let said = expect_context::<StatusMessages>();
    on_cleanup(move || said.forget_secret());
}

/// The field that it stands in.
const FIELD: &str = "new-secret";

/// The secret that was just made, in a field to be selected or copied; nothing at any other time.
#[component]
pub fn NewSecret(
    label: &'static str,
    text: &'static str,
    /// A command that makes use of it.
    command: Callback<String, String>,
) -> impl IntoView {
    let said = expect_context::<StatusMessages>();
    move || {
        said.secret().map(|secret| {
            Effect::new(|| select_once_there(FIELD.to_owned()));
            let plain = secret.expose().to_owned();
            let on_copy = move |_| copy(secret.expose(), FIELD.to_owned(), said, "Copied to clipboard", || {});
            view! {
                <section class="card new-secret" aria-label="Shown once">
                    <div class="field">
                        <label for=FIELD>{label}</label>
                        <div class="secret-row">
                            <input
                                class="input mono" id=FIELD readonly=true value=plain.clone()
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

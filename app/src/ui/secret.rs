//! Secrets that are shown only once: a new key, a new signing secret.

use leptos::prelude::*;

use super::copy::{copy, select_once_there};
use super::icon::{Icon, icon};
use super::status::StatusMessages;
use super::view::view;

/// Forgets the secret when the page is left. The page itself calls it, because content inside a loader may be drawn
/// more than once.
pub fn forget_secret_on_leaving() {
    let said = expect_context::<StatusMessages>();
    on_cleanup(move || said.forget_secret());
}

/// The id of its field.
const FIELD: &str = "new-secret";

/// The new secret, in a field to select or copy; nothing at any other time.
#[component]
pub fn NewSecret(
    label: &'static str,
    text: &'static str,
    /// A command that uses it.
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

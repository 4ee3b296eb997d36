//! The WASM client: takes over the page that the server rendered.

#![recursion_limit = "512"]

use wasm_bindgen::prelude::wasm_bindgen;

/// Called by the page once this module is loaded. What the page itself needs stands in a file of its own: hydrating
/// begins when that is here too.
#[wasm_bindgen]
pub async fn hydrate() {
    console_error_panic_hook::set_once();
    let path = leptos::prelude::location().pathname().unwrap_or_default();
    app::pages::fetch(&path).await;
    leptos::mount::hydrate_body(app::shell::App);
}

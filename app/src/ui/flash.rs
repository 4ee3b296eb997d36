//! The response to a form without script, for this page: kept only while the page is open.

use domain::form::{Flash, FormOutcome};
use leptos::prelude::*;

use crate::rpc::PostcardEncoding;

#[derive(Clone, Copy)]
struct UnreadFlash(StoredValue<Option<Flash>>);

/// Provides the flash to the tree; it is part of the page, so the browser starts with the same state as the server.
pub fn provide_flash() {
    let flash = SharedValue::<_, PostcardEncoding>::new_with_encoding(|| {
        use_context::<Option<Flash>>().flatten()
    })
    .into_inner();
    provide_context(UnreadFlash(StoredValue::new(flash)));
}

/// The response that waits on this page, for any form.
pub fn flash() -> Option<Flash> {
    use_context::<UnreadFlash>().and_then(|waiting| waiting.0.get_value())
}

/// The response for one form, with what was typed there.
pub fn flash_for(action: &str, key: &str) -> Option<Flash> {
    flash().filter(|flash| flash.is_for(action, key))
}

/// The response to a form without script, on the page that follows.
pub fn use_flash_outcome(action: &str, key: &str) -> Option<FormOutcome> {
    flash_for(action, key).map(|flash| flash.outcome)
}

/// Forgets it when the page is left, so that an old error does not return on a later visit. Call it where the tree has
/// been given one.
pub fn forgetting_flash() -> impl Fn() + Copy {
    let waiting = use_context::<UnreadFlash>();
    move || {
        if let Some(waiting) = waiting {
            let _ = waiting.0.try_set_value(None);
        }
    }
}

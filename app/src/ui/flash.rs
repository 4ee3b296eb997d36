//! What a form without script left for this page: kept while the page is there, and not a moment longer.

use leptos::prelude::*;

use crate::form::{Flash, FormOutcome};
use crate::rpc::PostcardEncoding;

#[derive(Clone, Copy)]
struct UnreadFlash(StoredValue<Option<Flash>>);

/// Gives the tree the flash; carried over, so that the browser starts from the same as the server.
pub fn provide_flash() {
    let flash = SharedValue::<_, PostcardEncoding>::new_with_encoding(|| {
        use_context::<Option<Flash>>().flatten()
    })
    .into_inner();
    provide_context(UnreadFlash(StoredValue::new(flash)));
}

/// The answer that waits on this page, whichever form it is for.
pub fn flash() -> Option<Flash> {
    use_context::<UnreadFlash>().and_then(|waiting| waiting.0.get_value())
}

/// The answer for one form, with what was typed there.
pub fn flash_for(action: &str, key: &str) -> Option<Flash> {
    flash().filter(|flash| flash.is_for(action, key))
}

/// The answer that a form without script got, on the page that follows it.
pub fn use_flash_outcome(action: &str, key: &str) -> Option<FormOutcome> {
    flash_for(action, key).map(|flash| flash.outcome)
}

/// Forgets it when the page is left: an old error must not come back on a later visit. To be called where the tree
/// has been given one.
pub fn forgetting_flash() -> impl Fn() + Copy {
    let waiting = use_context::<UnreadFlash>();
    move || {
        if let Some(waiting) = waiting {
            let _ = waiting.0.try_set_value(None);
        }
    }
}

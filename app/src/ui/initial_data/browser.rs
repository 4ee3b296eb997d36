use leptos::prelude::*;
use leptos::server::codee::Decoder;

use crate::rpc::{Answer, Calling, PostcardEncoding};
use crate::ui::deferred;

/// Draws the answer that stands in the page, or asks and shows `meanwhile` until it has come.
pub fn first_answer(
    asked: Calling,
    draw: impl FnOnce(Answer) -> AnyView + Send + 'static,
    meanwhile: fn() -> AnyView,
) -> AnyView {
    // Counted on both sides, so that both mean the same question by the same number.
    let written = Owner::current_shared_context().and_then(|page| page.read_data(&page.next_id()));
    let stands: Option<Answer> = written.and_then(|text| PostcardEncoding::decode(&text).ok());
    match stands {
        Some(answer) => draw(answer),
        None => later(async move { draw(asked.await) }, meanwhile),
    }
}

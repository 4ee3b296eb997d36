use leptos::prelude::*;
use leptos::server::codee::Decoder;

use crate::rpc::{PostcardEncoding, RpcFuture, RpcResult};
use crate::ui::deferred;

/// Renders the response in the page, or requests it and shows `meanwhile` until it arrives.
pub fn first_answer(
    asked: RpcFuture,
    draw: impl FnOnce(RpcResult) -> AnyView + Send + 'static,
    meanwhile: fn() -> AnyView,
) -> AnyView {
    // Counted on both sides, so that both use the same number for the same request.
    let written = Owner::current_shared_context().and_then(|page| page.read_data(&page.next_id()));
    let stands: Option<RpcResult> = written.and_then(|text| PostcardEncoding::decode(&text).ok());
    match stands {
        Some(answer) => draw(answer),
        None => deferred(async move { draw(asked.await) }, meanwhile),
    }
}

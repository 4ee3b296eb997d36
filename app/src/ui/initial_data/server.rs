use futures::channel::oneshot;
use leptos::prelude::*;
use leptos::server::codee::Encoder;
use leptos::tachys::reactive_graph::OwnedView;

use crate::rpc::{PostcardEncoding, RpcFuture, RpcResult};

/// Waits for the response, renders it, and puts it into the page for the browser.
pub fn first_answer(
    asked: RpcFuture,
    draw: impl FnOnce(RpcResult) -> AnyView + Send + 'static,
    _meanwhile: fn() -> AnyView,
) -> AnyView {
    let Some(page) = Owner::current_shared_context() else {
        return ().into_any();
    };
    let (write, written) = oneshot::channel();
    page.write_async(
        page.next_id(),
        // Nothing is written only if the page was abandoned.
        Box::pin(async { written.await.unwrap_or_default() }),
    );
    Suspend::new(async move {
        let answer = asked.await;
        let _ = write.send(PostcardEncoding::encode(&answer).unwrap_or_default());
        // It is written out later, when nothing else says whose contexts are its own.
        OwnedView::new(draw(answer))
    })
    .into_any()
}

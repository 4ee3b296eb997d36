//! Views that arrive later.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use leptos::prelude::*;
use leptos::reactive::spawn_local_scoped_with_cancellation;

/// A view that is available immediately, or `meanwhile` until it arrives. On the server everything is available
/// immediately: waiting happens in [`first_answer`](super::initial_data::first_answer).
pub fn deferred(
    coming: impl Future<Output = AnyView> + 'static,
    meanwhile: fn() -> AnyView,
) -> AnyView {
    let mut coming = Box::pin(coming);
    if let Poll::Ready(view) = coming
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        return view;
    }
    let (drawn, come) = (Arc::new(Mutex::new(None)), ArcTrigger::new());
    let (shown, arrived) = (drawn.clone(), come.clone());
    spawn_local_scoped_with_cancellation(async move {
        let view = coming.await;
        *drawn.lock().unwrap_or_else(PoisonError::into_inner) = Some(view);
        come.notify();
    });
    (move || {
        arrived.track();
        let view = shown.lock().unwrap_or_else(PoisonError::into_inner).take();
        view.unwrap_or_else(meanwhile)
    })
    .into_any()
}

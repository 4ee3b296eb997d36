//! Times on screen: relative text that stays current, and the exact time in the tooltip, in the reader's time zone once
//! the script runs.

use std::time::Duration;

use domain::Timestamp;
use leptos::ev::MouseEvent;
use leptos::prelude::*;

use super::js_interop::set_property;
use super::view::view;
use crate::rpc::PostcardEncoding;

/// How often relative times are updated.
const TICK: Duration = Duration::from_secs(20);

/// The page's clock. It starts with the server's time, so that the first texts are the same on client and server, and
/// continues with the browser's.
#[derive(Clone, Copy)]
struct Clock(RwSignal<Timestamp>);

/// Provides the clock to pages.
pub fn provide_clock() {
    let start = SharedValue::<_, PostcardEncoding>::new_with_encoding(now).into_inner();
    let clock = Clock(RwSignal::new(start));
    provide_context(clock);
    Effect::new(move || {
        let loaded = now();
        let tick = move || {
            clock.0.set(start.after(now().since(loaded)));
        };
        let _ = set_interval_with_handle(tick, TICK);
    });
}

/// The page's current time, as a signal.
pub fn use_clock() -> Signal<Timestamp> {
    expect_context::<Clock>().0.into()
}

/// The clock of the machine that runs this.
#[cfg(not(target_arch = "wasm32"))]
pub fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(target_arch = "wasm32")]
#[expect(
    clippy::cast_possible_truncation,
    reason = "JavaScript's clock is a double of whole milliseconds"
)]
pub fn now() -> Timestamp {
    Timestamp::from_millis(js_sys::Date::now() as i64)
}

/// When something happened or, with `ahead`, when it will happen. The caller decides which, not the clock: the page's
/// clock only updates from time to time and may lag behind the one that wrote the timestamp.
#[component]
pub fn Time(at: Timestamp, #[prop(optional)] ahead: bool) -> impl IntoView {
    let Clock(now) = expect_context();
    let text = move || {
        if ahead {
            at.relative_to(now.get())
        } else {
            at.ago(now.get())
        }
    };
    view! {
        <time on:mouseover=move |event| say_locally(&event, at) datetime=at.rfc3339() title=at.exact()>{text}</time>
    }
}

/// The tooltip in the reader's time zone and language, created just before it is shown.
fn say_locally(event: &MouseEvent, at: Timestamp) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "JavaScript's dates are doubles of milliseconds"
    )]
    let date = js_sys::Date::new(&(at.millis() as f64).into());
    let local = date.to_locale_string("default", &js_sys::Object::new());
    if let Some(element) = event.target() {
        set_property(&element, "title", &local.into());
    }
}

//! Moments on screen: relative as text, exact in the tooltip; the tooltip in the reader's zone once the script runs.

use leptos::prelude::*;

use crate::domain::Timestamp;

#[component]
pub fn Time(at: Timestamp, now: Timestamp) -> impl IntoView {
    let element = NodeRef::<leptos::html::Time>::new();
    Effect::new(move || {
        if let Some(element) = element.get() {
            #[expect(
                clippy::cast_precision_loss,
                reason = "JavaScript's dates are doubles of milliseconds"
            )]
            let date = js_sys::Date::new(&(at.millis() as f64).into());
            let local = date.to_locale_string("default", &js_sys::Object::new());
            let _ = element.set_attribute("title", &String::from(local));
        }
    });
    view! { <time node_ref=element datetime=at.rfc3339() title=at.exact()>{at.relative_to(now)}</time> }
}

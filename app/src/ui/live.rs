//! The browser's end of live hints: one connection for all tabs of a browser. The tab that holds the lock listens and
//! passes each hint on by a broadcast channel; when it closes, another takes over. Without locks (plain http on a
//! host that is not this machine) every tab listens for itself.

use leptos::prelude::*;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{BroadcastChannel, EventSource, MessageEvent};

use crate::live::Topic;

const NAME: &str = "wheelhouse-live";
/// Said when hints may have been missed: look at everything.
const ALL: &str = "all";

/// Counters that rise with each hint; what reads one is run again.
#[derive(Clone, Copy)]
pub struct Live([RwSignal<u32>; Topic::ALL.len()]);

impl Live {
    /// Runs the surrounding effect again when a hint names one of `topics`.
    pub fn track(self, topics: &[Topic]) {
        for (topic, signal) in Topic::ALL.iter().zip(self.0) {
            if topics.contains(topic) {
                signal.track();
            }
        }
    }

    fn receive(self, text: &str) {
        for (topic, signal) in Topic::ALL.iter().zip(self.0) {
            if text == ALL || topic.as_str() == text {
                signal.update(|n| *n += 1);
            }
        }
    }
}

/// Gives pages their [`Live`], and in the browser connects it.
pub fn provide_live() {
    let live = Live(std::array::from_fn(|_| RwSignal::new(0)));
    provide_context(live);
    Effect::new(move || connect(live));
}

fn connect(live: Live) {
    let Ok(channel) = BroadcastChannel::new(NAME) else {
        return;
    };
    let heard = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        if let Some(text) = event.data().as_string() {
            live.receive(&text);
        }
    });
    channel.set_onmessage(Some(heard.as_ref().unchecked_ref()));
    heard.forget();

    let listen = move || listen(live, &channel);
    let locks = js_sys::Reflect::get(&window().navigator(), &"locks".into())
        .ok()
        .filter(JsValue::is_object);
    let Some(locks) = locks else { return listen() };
    let held = Closure::once_into_js(move |_lock: JsValue| {
        listen();
        // Never resolved: the lock is ours until the tab closes.
        js_sys::Promise::new(&mut |_, _| {})
    });
    if let Ok(request) = js_sys::Reflect::get(&locks, &"request".into())
        && let Ok(request) = request.dyn_into::<js_sys::Function>()
    {
        let _ = request.call2(&locks, &NAME.into(), &held);
    }
}

fn listen(live: Live, channel: &BroadcastChannel) {
    let Ok(source) = EventSource::new("/live") else {
        return;
    };
    let pass_on = channel.clone();
    let heard = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        if let Some(text) = event.data().as_string() {
            live.receive(&text);
            let _ = pass_on.post_message(&event.data());
        }
    });
    source.set_onmessage(Some(heard.as_ref().unchecked_ref()));
    heard.forget();
}

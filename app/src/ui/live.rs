//! The client side of live updates: one connection for all tabs of a browser. One tab listens and passes each hint on
//! through a broadcast channel. A lock decides which tab; if the browser has no locks (plain http on a remote host), a
//! lease in the tabs' shared storage does. When that tab or its connection closes, another tab takes over.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use domain::{Timestamp, Topic};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{BroadcastChannel, EventSource, MessageEvent};

use super::js_interop::{Storage, method, property};
use super::time::now;

const NAME: &str = "wheelhouse-live";
/// Sent when hints may have been missed: reload everything.
const ALL: &str = "all";

/// How long to wait before a closed connection is reopened: doubled each time that it did not open at all.
const MIN_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(30);
/// How often the listening tab checks that it still listens, and renews its lease.
const LOOK: Duration = Duration::from_secs(2);
/// A lease that was not renewed for this long is free: its tab is gone or asleep.
const LEASE: Duration = Duration::from_secs(5);
/// If two tabs take a lease at the same time, the later writer gets it; after this time both have written.
const SETTLED: Duration = Duration::from_millis(200);
/// A tab that waited longer than this for its turn may have missed something.
const LATE: Duration = Duration::from_secs(1);

/// Counters that increase with each hint; effects that read one run again.
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

/// Provides [`Live`] to pages.
pub fn provide_live() {
    provide_context(Live(std::array::from_fn(|_| RwSignal::new(0))));
}

thread_local! {
    static CONNECTED: Cell<bool> = const { Cell::new(false) };
}

/// Connects once per page. Call it where someone is signed in: nobody else gets hints.
pub fn connect_live() {
    let live = expect_context::<Live>();
    Effect::new(move || {
        if !CONNECTED.replace(true)
            && let Ok(channel) = BroadcastChannel::new(NAME)
        {
            // What came through the channel is not passed on again: the sender sent it to all tabs.
            let heard = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
                if let Some(text) = event.data().as_string() {
                    live.receive(&text);
                }
            });
            channel.set_onmessage(Some(heard.as_ref().unchecked_ref()));
            heard.forget();
            spawn_local(take_turns(live, channel));
        }
    });
}

/// Waits for this tab's turn, listens as long as it lasts, and queues again.
async fn take_turns(live: Live, channel: BroadcastChannel) {
    let mut wait = MIN_WAIT;
    let mut missed = false;
    loop {
        let turn = Turn {
            live,
            channel: channel.clone(),
            missed,
        };
        let opened = match property(&window().navigator(), "locks") {
            Some(locks) => with_lock(&locks, turn).await,
            None => with_lease(turn).await,
        };
        if opened {
            wait = MIN_WAIT;
        }
        pause(wait).await;
        wait = (wait * 2).min(MAX_WAIT);
        missed = true;
    }
}

/// Listens while this tab holds the browser's lock: one tab after another, in order.
async fn with_lock(locks: &JsValue, turn: Turn) -> bool {
    let asked = now();
    let opened = Rc::new(Cell::new(false));
    let answer = opened.clone();
    let listen = Closure::once_into_js(move |_lock: JsValue| {
        // The lock is held until this promise resolves.
        future_to_promise(async move {
            let late = now().since(asked) > LATE;
            answer.set(turn.listen(late, || true).await);
            Ok(JsValue::UNDEFINED)
        })
    });
    if let Some(promise) = method(locks, "request", &[NAME.into(), listen])
        && let Ok(promise) = promise.dyn_into::<js_sys::Promise>()
    {
        let _ = JsFuture::from(promise).await;
    }
    opened.get()
}

/// Listens while this tab holds the lease in the shared storage.
async fn with_lease(turn: Turn) -> bool {
    let Some(storage) = Storage::open("localStorage") else {
        // The tabs cannot coordinate: each listens for itself.
        return turn.listen(false, || true).await;
    };
    let asked = now();
    let lease = Lease {
        storage,
        tab: random(),
    };
    loop {
        if lease.take() {
            pause(SETTLED).await;
            if lease.take() {
                break;
            }
        }
        pause(LOOK).await;
    }
    let late = now().since(asked) > LATE;
    let opened = turn.listen(late, || lease.take()).await;
    lease.give_back();
    opened
}

/// Which tab can listen: its number, and when it last renewed the lease.
struct Lease {
    storage: Storage,
    tab: i64,
}

impl Lease {
    fn holder(&self) -> Option<(i64, Timestamp)> {
        let text = self.storage.get(NAME)?;
        let (tab, at) = text.split_once(' ')?;
        Some((tab.parse().ok()?, Timestamp::from_millis(at.parse().ok()?)))
    }

    /// Takes or renews it, unless another tab has it.
    fn take(&self) -> bool {
        let now = now();
        let free = self
            .holder()
            .is_none_or(|(tab, at)| tab == self.tab || now.since(at) > LEASE);
        if free {
            self.storage
                .set(NAME, &format!("{} {}", self.tab, now.millis()));
        }
        free
    }

    fn give_back(&self) {
        if self.holder().is_some_and(|(tab, _)| tab == self.tab) {
            self.storage.remove(NAME);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "any whole number does, and 2^53 of them tell tabs apart"
)]
fn random() -> i64 {
    (js_sys::Math::random() * 9_007_199_254_740_992.0) as i64
}

/// One turn of this tab at the connection.
struct Turn {
    live: Live,
    channel: BroadcastChannel,
    /// Hints may have been missed since the page was loaded.
    missed: bool,
}

impl Turn {
    /// Listens for all tabs until the connection is closed for good or `may` returns false. Returns whether it was ever
    /// open. The browser reopens a connection that is merely interrupted.
    async fn listen(self, late: bool, may: impl Fn() -> bool) -> bool {
        let Ok(source) = EventSource::new("/live") else {
            return false;
        };
        let live = self.live;
        let pass_on = self.channel.clone();
        let heard = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(text) = event.data().as_string() {
                live.receive(&text);
                let _ = pass_on.post_message(&event.data());
            }
        });
        source.set_onmessage(Some(heard.as_ref().unchecked_ref()));
        let opened = Rc::new(Cell::new(false));
        let (first, missed, channel) = (opened.clone(), self.missed || late, self.channel);
        let on_open = Closure::<dyn FnMut()>::new(move || {
            if !first.replace(true) && missed {
                live.receive(ALL);
                let _ = channel.post_message(&ALL.into());
            }
        });
        source.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        while source.ready_state() != EventSource::CLOSED && may() {
            pause(LOOK).await;
        }
        source.close();
        opened.get()
    }
}

async fn pause(time: Duration) {
    let later = js_sys::Promise::new(&mut |resolve, _| {
        set_timeout(
            move || {
                let _ = resolve.call0(&JsValue::UNDEFINED);
            },
            time,
        );
    });
    let _ = JsFuture::from(later).await;
}

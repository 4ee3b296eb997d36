//! A switch that saves immediately.

use domain::notifications::Switch as Which;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::use_location;
use server_fn::ServerFn;

use super::flash::use_flash_outcome;
use super::page_loader::Refresh;
use super::view::view;
use crate::rpc::call;
use crate::settings::notifications::api::SetNotification;
use crate::ui::url::search;

/// One switch of the notification matrix. It flips immediately; during a request, further clicks only change what is
/// shown, and the loop continues until the server has that state; a refusal puts it back and shows the reason. Its
/// signals outlive the page, so leaving right away still saves.
#[component]
pub fn Switch(
    which: Which,
    #[prop(into)] name: String,
    /// The stored value, which is followed unless something is being saved here.
    #[prop(into)]
    stored: Signal<bool>,
    /// The element that describes the switch.
    #[prop(optional, into)]
    described_by: Option<String>,
) -> impl IntoView {
    let shown = ArcRwSignal::new(stored.get_untracked());
    let busy = ArcRwSignal::new(false);
    let flash = use_flash_outcome(SetNotification::PATH, &which.to_string());
    let refused = ArcRwSignal::new(flash.and_then(Result::err));

    let (follow_shown, follow_busy) = (shown.clone(), busy.clone());
    Effect::new(move |before: Option<bool>| {
        let stored = stored.get();
        // Only a new value moves the switch: a value loaded before a save here is older than what is shown.
        if before.is_some_and(|before| before != stored) && !follow_busy.get_untracked() {
            follow_shown.set(stored);
        }
        stored
    });

    let refresh = use_context::<Refresh>();
    let save = {
        let (shown, busy, refused) = (shown.clone(), busy.clone(), refused.clone());
        move |event: SubmitEvent| {
            event.prevent_default();
            shown.update(|on| *on = !*on);
            refused.set(None);
            if busy.get_untracked() {
                return;
            }
            busy.set(true);
            let (shown, busy, refused) = (shown.clone(), busy.clone(), refused.clone());
            spawn_local(async move {
                loop {
                    let wanted = shown.get_untracked();
                    let (switch, on) = (which.to_string(), wanted.to_string());
                    match call(SetNotification { switch, on }).await {
                        Ok(_) if shown.get_untracked() != wanted => {}
                        Ok(_) => break,
                        Err(error) => {
                            shown.set(!wanted);
                            refused.set(Some(error));
                            break;
                        }
                    }
                }
                busy.set(false);
                // Until the stored value arrives, the shown one stays.
                if let Some(refresh) = refresh {
                    refresh.now();
                }
            });
        }
    };

    let location = use_location();
    let back = move || {
        format!(
            "{}{}",
            location.pathname.get(),
            search(&location.search.get())
        )
    };
    let wanted = {
        let shown = shown.clone();
        move || (!shown.get()).to_string()
    };
    let checked = move || shown.get().to_string();
    view! {
        <form class="switch-form" method="post" action=SetNotification::PATH on:submit=save>
            <input type="hidden" name="_back" value=back/>
            <input type="hidden" name="_form" value=which.to_string()/>
            <input type="hidden" name="switch" value=which.to_string()/>
            <button class="switch" role="switch" name="on" value=wanted aria-checked=checked aria-label=name aria-describedby=described_by></button>
            {move || refused.get().map(|error| view! { <p class="cell-error" role="alert">{error.to_string()}</p> })}
        </form>
    }
}

//! The status region: the message of what was just done, and Undo.

use leptos::prelude::*;
use server_fn::ServerFn;

use super::field::{Hidden, Submit};
use super::form::Form;
use super::icon::{Icon, icon};
use super::outdated::restore_kept;
use super::status::{StatusMessages, UNDO_ACTIONS};
use super::view::view;
use crate::inbox::api::UndoMarkAllRead;

/// The status region. It is on every page from the first load.
#[component]
pub fn StatusRegion() -> impl IntoView {
    let said = expect_context::<StatusMessages>();
    Effect::new(move || {
        said.begin();
        restore_kept();
    });
    let message = move || {
        said.now
            .with(|now| now.as_ref().map(|done| done.message.clone()))
    };
    let undo = move || {
        said.now
            .with(|now| now.as_ref().and_then(|done| done.undo.clone()))
    };
    let undo_read = move || {
        said.now
            .with(|now| now.as_ref().and_then(|done| done.undo_read.clone()))
    };
    view! {
        <div class="status-region" data-empty=move || message().is_none_or(|text| text.is_empty()).to_string()>
            <p class="status-text" role="status">{message}</p>
            {move || undo().map(|undo| {
                // The path comes from our own server's response, and only these functions undo things.
                let action = UNDO_ACTIONS.into_iter().find(|known| *known == undo.action)?;
                Some(view! {
                    <Form action class="inline-form">
                        <Hidden name="workspace" value=undo.workspace/>
                        <Hidden name="event" value=undo.event.to_string()/>
                        <Submit class="toast-action">{icon(Icon::Undo)}"Undo"</Submit>
                    </Form>
                    {dismiss(said)}
                })
            })}
            {move || undo_read().map(|undo| view! {
                <Form action=UndoMarkAllRead::PATH class="inline-form">
                    <Hidden name="workspace" value=undo.workspace/>
                    <Hidden name="read_at" value=undo.read_at.millis().to_string()/>
                    <Submit class="toast-action">{icon(Icon::Undo)}"Undo"</Submit>
                </Form>
                {dismiss(said)}
            })}
        </div>
    }
}

fn dismiss(said: StatusMessages) -> AnyView {
    view! {
        <button type="button" class="toast-close script-only" aria-label="Dismiss" on:click=move |_| said.now.set(None)>
            {icon(Icon::X)}
        </button>
    }
    .into_any()
}

//! The status region: what was just done, said once and quietly, with the way to take it back.

use std::time::Duration;

use leptos::prelude::*;

use super::form::{Form, Hidden, Submit};
use super::icon::{Icon, icon};
use crate::domain::Secret;
use crate::form::{Done, Flash};

/// How long a message stands. One with Undo stands longer: it has to be read, weighed and reached.
const STANDS: Duration = Duration::from_secs(6);
const STANDS_WITH_UNDO: Duration = Duration::from_secs(20);

/// What the status region says; and apart from it, because it does not go away by itself, what is shown once.
#[derive(Clone, Copy)]
pub struct Said(RwSignal<Option<(u32, Done)>>, RwSignal<Option<Secret>>);

impl Default for Said {
    fn default() -> Self {
        Self::new()
    }
}

impl Said {
    pub fn new() -> Self {
        let flash = use_context::<Option<Flash>>().flatten();
        let done = flash.and_then(|flash| flash.outcome.ok());
        let secret = done.as_ref().and_then(|done| done.secret.clone());
        Self(
            RwSignal::new(done.map(|done| (0, done))),
            RwSignal::new(secret),
        )
    }

    /// What is to be shown once, if there is something.
    pub fn secret(self) -> Option<Secret> {
        self.1.get()
    }

    pub fn forget_secret(self) {
        // Nobody is left to show it to when the application is gone.
        let _ = self.1.try_set(None);
    }

    pub fn say(self, mut done: Done) {
        if let Some(secret) = done.secret.take() {
            self.1.set(Some(secret));
        }
        let turn = self
            .0
            .with_untracked(|said| said.as_ref().map_or(1, |(turn, _)| turn + 1));
        let stands = if done.undo.is_some() {
            STANDS_WITH_UNDO
        } else {
            STANDS
        };
        self.0.set(Some((turn, done)));
        set_timeout(
            move || {
                // Only if nothing was said since.
                if self
                    .0
                    .try_with_untracked(|said| said.as_ref().map(|(turn, _)| *turn))
                    == Some(Some(turn))
                {
                    self.0.set(None);
                }
            },
            stands,
        );
    }

    pub fn tell(self, message: &str) {
        self.say(Done::said(message));
    }
}

/// The one region that says what was just done. It stands on every page from the first load on.
#[component]
pub fn StatusRegion() -> impl IntoView {
    let said = expect_context::<Said>();
    let message = move || {
        said.0
            .with(|said| said.as_ref().map(|(_, done)| done.message.clone()))
    };
    let undo = move || {
        said.0
            .with(|said| said.as_ref().and_then(|(_, done)| done.undo.clone()))
    };
    view! {
        <div class="status-region" data-empty=move || message().is_none().to_string()>
            <p class="status-text" role="status">{message}</p>
            {move || undo().map(|undo| {
                // The address comes from our own server's answer, and only these functions take things back.
                let action = UNDO_ACTIONS.into_iter().find(|known| *known == undo.action)?;
                Some(view! {
                    <Form action class="inline-form">
                        <Hidden name="workspace" value=undo.workspace/>
                        <Hidden name="event" value=undo.event.to_string()/>
                        <Submit class="toast-action">{icon(Icon::Undo)}"Undo"</Submit>
                    </Form>
                })
            })}
        </div>
    }
}

const UNDO_ACTIONS: [&str; 5] = [
    "/fn/undo_workspace_rename",
    "/fn/undo_workspace_url",
    "/fn/undo_cancel_invitation",
    "/fn/undo_change_role",
    "/fn/undo_remove_member",
];

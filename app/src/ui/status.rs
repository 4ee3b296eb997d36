//! The status region: a short message about what was just done, with Undo if possible.

use std::time::Duration;

use domain::Secret;
use domain::form::{Flash, FormSuccess};
use leptos::prelude::*;

use super::flash::flash;
use super::js_interop::Storage;

/// How long a message is shown. One with Undo is shown longer: people need time to read, decide and click.
const STANDS: Duration = Duration::from_secs(6);
const STANDS_WITH_UNDO: Duration = Duration::from_secs(20);
/// How long the region is empty before it repeats the same message, so that the repetition is noticed.
const MOMENT: Duration = Duration::from_millis(100);

/// Storage key of a message for the page that is being loaded.
const KEPT: &str = "wheelhouse-said";
/// Maximum length of a message.
const MAX_STORED_LEN: usize = 4_000;

/// Keeps a message visible: an Undo that is in progress or was refused, or someone who is about to press it.
const HELD: &str = ".status-region:is(:hover, :focus-within, :has(.form-error, [aria-invalid=\"true\"], [aria-busy=\"true\"]))";

/// The message of the status region, and separately the secret that is shown once, because it does not disappear on its
/// own.
#[derive(Clone, Copy)]
pub struct StatusMessages {
    pub(super) now: RwSignal<Option<FormSuccess>>,
    /// Counts the messages, so that an old message's timer does not remove a new one.
    turn: StoredValue<u32>,
    /// The new secret, shown until it is dismissed.
    secret: RwSignal<Option<Secret>>,
}

impl Default for StatusMessages {
    fn default() -> Self {
        Self::new()
    }
}

impl StatusMessages {
    pub fn new() -> Self {
        let mut done = flash().and_then(|flash| match &flash.outcome {
            Ok(done) => Some(done.clone()),
            Err(_) => refused_undo(&flash),
        });
        let secret = done.as_mut().and_then(|done| done.secret.take());
        Self {
            now: RwSignal::new(done),
            turn: StoredValue::new(0),
            secret: RwSignal::new(secret),
        }
    }

    /// The secret to show, if there is one.
    pub fn secret(self) -> Option<Secret> {
        self.secret.get()
    }

    pub fn forget_secret(self) {
        // Nobody is left to show it to after the application is gone.
        let _ = self.secret.try_set(None);
    }

    pub fn say(self, mut done: FormSuccess) {
        if let Some(secret) = done.secret.take() {
            self.secret.set(Some(secret));
        }
        let turn = self.turn.get_value() + 1;
        self.turn.set_value(turn);
        let stands = if done.undo.is_some() || done.undo_read.is_some() {
            STANDS_WITH_UNDO
        } else {
            STANDS
        };
        let said_already = self
            .now
            .with_untracked(|now| now.as_ref().is_some_and(|now| now.message == done.message));
        if said_already {
            // Screen readers do not announce text that does not change.
            self.now.set(None);
            let again = move || {
                if self.turn.get_value() == turn {
                    self.now.set(Some(done));
                }
            };
            set_timeout(again, MOMENT);
        } else {
            self.now.set(Some(done));
        }
        self.expire(turn, stands);
    }

    pub fn show(self, message: &str) {
        self.say(FormSuccess::with_message(message));
    }

    fn expire(self, turn: u32, stands: Duration) {
        let over = move || {
            if self.turn.get_value() != turn {
                return;
            }
            if matches!(document().query_selector(HELD), Ok(Some(_))) {
                self.expire(turn, STANDS);
            } else {
                self.now.set(None);
            }
        };
        set_timeout(over, stands);
    }

    /// Shows the message that the previous page left; a message that came with the page is shown as long as any other.
    pub(super) fn begin(self) {
        let kept = Storage::open("sessionStorage").and_then(|storage| {
            let kept = storage.get(KEPT);
            storage.remove(KEPT);
            kept
        });
        match kept {
            Some(message) => self.show(&message),
            None => self.expire(0, STANDS_WITH_UNDO),
        }
    }
}

/// An Undo that was posted without script and refused: it stays, with its error.
fn refused_undo(flash: &Flash) -> Option<FormSuccess> {
    let action = UNDO_ACTIONS
        .into_iter()
        .find(|action| *action == flash.action)?;
    let event = flash.typed("event")?.parse().ok()?;
    let workspace = flash.typed("workspace")?;
    Some(
        FormSuccess::with_message("Could not undo this change").with_undo(action, workspace, event),
    )
}

/// Keeps a response's message for the page that it leads to.
pub fn keep_for_next_page(message: &str) {
    if message.len() <= MAX_STORED_LEN
        && let Some(storage) = Storage::open("sessionStorage")
    {
        storage.set(KEPT, message);
    }
}

pub(super) const UNDO_ACTIONS: [&str; 5] = [
    "/fn/undo_workspace_rename",
    "/fn/undo_workspace_url",
    "/fn/undo_cancel_invitation",
    "/fn/undo_change_role",
    "/fn/undo_remove_member",
];

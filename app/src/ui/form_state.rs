//! The state of a form, shared with its fields.

use std::cell::Cell;

use domain::form::FormOutcome;
use domain::{AppError, FieldErrors};
use leptos::prelude::*;

use super::flash::{flash_for, use_flash_outcome};

pub const CURRENT_PASSWORD: &str = "current_password";

/// State shared by the fields of a form.
#[derive(Clone, Copy)]
pub struct FormState {
    prefix: StoredValue<String>,
    pub outcome: RwSignal<Option<FormOutcome>>,
    pub busy: RwSignal<bool>,
    typed: StoredValue<Vec<(String, String)>>,
    /// Chosen values: like typed text, but kept when a form that clears itself is accepted.
    chosen: StoredValue<Vec<(String, String)>>,
    /// The fields that show their own errors.
    fields: StoredValue<Vec<&'static str>>,
}

impl FormState {
    pub(super) fn new(action: &str, key: &str, clear: bool) -> Self {
        let flash = flash_for(action, key);
        let prefix = format!("{}-{key}", action.trim_start_matches("/fn/"));
        let outcome = flash.as_ref().map(|flash| flash.outcome.clone());
        let stays = outcome.as_ref().is_some_and(|outcome| match outcome {
            // If a part was refused, the rest of the form stays as requested.
            Ok(done) => done.keep || done.results.iter().any(|line| !line.good),
            Err(_) => true,
        });
        let posted = flash.map(|flash| flash.typed).unwrap_or_default();
        let typed = if stays { posted.clone() } else { Vec::new() };
        let chosen = if stays || clear { posted } else { Vec::new() };
        Self {
            prefix: StoredValue::new(prefix.trim_end_matches('-').to_owned()),
            outcome: RwSignal::new(outcome),
            busy: RwSignal::new(false),
            typed: StoredValue::new(typed),
            chosen: StoredValue::new(chosen),
            fields: StoredValue::new(Vec::new()),
        }
    }

    pub fn id(self, name: &str) -> String {
        self.prefix.with_value(|prefix| format!("{prefix}-{name}"))
    }

    /// Registers a field that shows its own errors. Returns whether it is the first with an error: without script, the
    /// page starts there.
    pub fn claim(self, name: &'static str) -> bool {
        let wrong = |name: &str| untrack(|| self.error(name)).is_some();
        let first = wrong(name)
            && !self
                .fields
                .with_value(|fields| fields.iter().any(|other| wrong(other)));
        self.fields.update_value(|fields| fields.push(name));
        first
    }

    /// Whether the form has a field with this name that shows its own errors.
    pub fn has(self, name: &str) -> bool {
        self.fields.with_value(|fields| fields.contains(&name))
    }

    pub fn error(self, name: &str) -> Option<String> {
        self.outcome.with(|outcome| match outcome {
            Some(Err(AppError::Invalid(errors))) => errors.get(name).map(str::to_owned),
            _ => None,
        })
    }

    /// The errors of fields that are not in the form.
    pub(super) fn unclaimed(self, errors: &FieldErrors) -> Option<String> {
        self.fields.with_value(|fields| {
            let texts: Vec<&str> = errors
                .iter()
                .filter(|(name, _)| !fields.contains(name) && *name != CURRENT_PASSWORD)
                .map(|(_, text)| text)
                .collect();
            (!texts.is_empty()).then(|| texts.join(". "))
        })
    }

    pub fn invalid(self, name: &'static str) -> Signal<Option<&'static str>> {
        Signal::derive(move || self.error(name).map(|_| "true"))
    }

    /// The ids that describe a field: its error, if there is one, and `rest`, which always applies.
    pub fn described_by(self, name: &'static str, rest: Vec<String>) -> Signal<Option<String>> {
        let error = format!("{}-error", self.id(name));
        Signal::derive(move || {
            let ids: Vec<&str> = self
                .error(name)
                .map(|_| error.as_str())
                .into_iter()
                .chain(rest.iter().map(String::as_str))
                .collect();
            (!ids.is_empty()).then(|| ids.join(" "))
        })
    }

    /// Whether this checkbox was checked before the page was reloaded, if the form was posted.
    pub fn checked(self, name: &str, value: &str) -> Option<bool> {
        let posted = posted_list_name(name);
        self.typed.with_value(|typed| {
            let mut boxes = typed.iter().filter(|(field, _)| *field == posted);
            (!typed.is_empty()).then(|| boxes.any(|(_, checked)| checked == value))
        })
    }

    /// The value that was chosen before the page was reloaded, without script.
    pub fn chosen(self, name: &str) -> Option<String> {
        self.chosen
            .with_value(|chosen| first_value(chosen, &posted_name(name)))
    }

    /// The text that was typed before the page was reloaded, without script.
    pub fn typed(self, name: &str) -> Option<String> {
        self.typed
            .with_value(|typed| first_value(typed, &posted_name(name)))
    }

    /// The refused ones of several things that were requested together.
    pub fn refused(self) -> Option<String> {
        self.outcome.with(|outcome| match outcome {
            Some(Ok(done)) => {
                let refused: Vec<&str> = done
                    .results
                    .iter()
                    .filter(|line| !line.good)
                    .map(|line| line.subject.as_str())
                    .collect();
                (!refused.is_empty()).then(|| refused.join(", "))
            }
            _ => None,
        })
    }
}

fn first_value(fields: &[(String, String)], posted: &str) -> Option<String> {
    fields
        .iter()
        .find(|(field, _)| field == posted)
        .map(|(_, value)| value.clone())
}

pub fn posted_name(name: &str) -> String {
    format!("form[{name}]")
}

/// Marks a field whose new value takes effect later, such as an address that has to be confirmed.
pub const NOT_YET: &str = "data-not-yet";

pub fn posted_list_name(name: &str) -> String {
    format!("form[{name}][]")
}

/// Inside a form: the text that was typed into a field before the page was reloaded, without script.
pub fn use_typed(name: &str) -> Option<String> {
    expect_context::<FormState>().typed(name)
}

/// Whether this form was just posted without script and refused.
pub fn was_refused(action: &str, key: &str) -> bool {
    use_flash_outcome(action, key).is_some_and(|outcome| outcome.is_err())
}

thread_local! {
    /// How many forms are being submitted.
    static POSTING: Cell<u32> = const { Cell::new(0) };
}

/// Whether a form is being submitted, or its response leads to a page that is loading: until then that form decides
/// what happens to this page.
pub fn is_posting() -> bool {
    POSTING.get() > 0
}

/// Call it when a form begins to be submitted, and [`posting_ended`] when its response is handled.
pub fn posting_begins() {
    POSTING.set(POSTING.get() + 1);
}

pub fn posting_ended() {
    POSTING.set(POSTING.get() - 1);
}

//! The actions on a key, in its row and on its own page, and the badges and tags that both show.

use domain::api_keys::{Grace, KeyRow, Status};
use domain::catalog::{Mode, Scope};
use domain::{ApiKeyId, Timestamp, WorkspaceId};
use leptos::prelude::*;
use server_fn::ServerFn;

use super::api::{FinishApiKeyRotation, RevokeApiKey, RotateApiKey};
use crate::ui::{
    Badge, CancelDialog, CurrentPassword, Dialog, Field, Form, Hidden, Icon, LiveRow, OpenDialog,
    Select, Submit, Time, dialog_id, icon, view, was_refused,
};

/// The workspace of the keys, and whether a change asks for the current password.
#[derive(Clone, Copy)]
pub struct Around {
    pub workspace: WorkspaceId,
    pub ask: Signal<bool>,
}

/// Live keys stand out, because they work with real data.
pub fn mode_badge(mode: Mode) -> AnyView {
    let tone = match mode {
        Mode::Live => "success",
        Mode::Test => "warning",
    };
    view! { <Badge tone>{mode.label()}</Badge> }.into_any()
}

pub fn status_badge(status: Status) -> AnyView {
    let tone = match status {
        Status::Active => "success",
        Status::Rotating => "warning",
        Status::Revoked => "danger",
        Status::Retired | Status::Expired => "neutral",
    };
    view! { <Badge tone>{status.label()}</Badge> }.into_any()
}

/// When and from where a key was last used.
pub fn last_use(used: Option<(Timestamp, String)>) -> AnyView {
    match used {
        Some((at, address)) => view! {
            <Time at/><span class="muted small key-from">" from "{address}</span>
        }
        .into_any(),
        None => "Never".into_any(),
    }
}

/// The first scopes as tags; the others unfold.
pub fn scope_tags(scopes: Vec<Scope>) -> AnyView {
    const SHOWN: usize = 2;
    let tag = |scope: Scope| view! { <li class="tag">{scope.label()}</li> };
    let mut first = scopes;
    let more = first.split_off(first.len().min(SHOWN));
    let count = more.len();
    view! {
        <ul class="tags">{first.into_iter().map(tag).collect_view()}</ul>
        {(count > 0).then(|| view! {
            <details class="more-tags">
                <summary>{format!("+{count} more")}</summary>
                <ul class="tags">{more.into_iter().map(tag).collect_view()}</ul>
            </details>
        })}
    }
    .into_any()
}

/// The buttons of a key that still works. The status is a separate argument, so that an open dialog stays open as long
/// as the key can still be rotated or revoked, whatever else changes.
pub fn actions(row: LiveRow<KeyRow>, status: Status, layout: Around) -> AnyView {
    match status {
        Status::Active => (rotate(row, layout), revoke(row, layout)).into_any(),
        Status::Rotating | Status::Expired => revoke(row, layout),
        Status::Retired | Status::Revoked => ().into_any(),
    }
}

fn rotate(row: LiveRow<KeyRow>, layout: Around) -> AnyView {
    let id = row.with_untracked(|row| row.id.to_string());
    let dialog = dialog_id("rotate", &id);
    let open = was_refused(RotateApiKey::PATH, &id);
    let title = Signal::derive(move || row.with(|row| format!("Rotate {}", row.name)));
    let grace: Vec<(String, String)> = Grace::ALL
        .map(|grace| (grace.to_string(), grace.label().to_owned()))
        .to_vec();
    view! {
        <OpenDialog dialog=dialog.clone() class="icon-button" label="Rotate">{icon(Icon::RotateCw)}</OpenDialog>
        <Dialog id=dialog title open>
            <p class="dialog-text">
                "Creates a new key with the same settings. Update your integration, then let the old key expire."
            </p>
            <Form action=RotateApiKey::PATH key=id.clone()>
                <Hidden name="form[workspace]" value=layout.workspace.to_string()/>
                <Hidden name="form[key]" value=id.clone()/>
                <Select name="grace" label="Old key expires" options=grace selected="day".to_owned()/>
                <CurrentPassword ask=layout.ask/>
                <div class="dialog-actions"><CancelDialog/><Submit>"Rotate Key"</Submit></div>
            </Form>
        </Dialog>
    }
    .into_any()
}

/// Ends a rotation early.
pub fn finish(key: ApiKeyId, layout: Around) -> AnyView {
    let id = key.to_string();
    view! {
        <Form action=FinishApiKeyRotation::PATH class="inline-form" key=id.clone()>
            <Hidden name="workspace" value=layout.workspace.to_string()/>
            <Hidden name="key" value=id/>
            <Submit class="button button-small">"Expire Now"</Submit>
        </Form>
    }
    .into_any()
}

fn revoke(row: LiveRow<KeyRow>, layout: Around) -> AnyView {
    let id = row.with_untracked(|row| row.id.to_string());
    let dialog = dialog_id("revoke", &id);
    let open = was_refused(RevokeApiKey::PATH, &id);
    let hint = Signal::derive(move || row.with(|row| format!("Type {} to confirm", row.name)));
    let title = Signal::derive(move || row.with(|row| format!("Revoke {}?", row.name)));
    view! {
        <OpenDialog dialog=dialog.clone() class="icon-button" label="Revoke">{icon(Icon::Ban)}</OpenDialog>
        <Dialog id=dialog title open>
            <p class="dialog-text">
                "Anything using this key stops working immediately. This can't be undone."
            </p>
            <Form action=RevokeApiKey::PATH key=id.clone()>
                <Hidden name="form[workspace]" value=layout.workspace.to_string()/>
                <Hidden name="form[key]" value=id.clone()/>
                <Field name="name" label="Key name" hint/>
                <div class="dialog-actions"><CancelDialog/><Submit class="button button-danger">"Revoke Key"</Submit></div>
            </Form>
        </Dialog>
    }
    .into_any()
}

//! The hidden fields that name a webhook and its workspace in the forms of its page.

use domain::{WebhookId, WorkspaceId};
use leptos::prelude::*;

use crate::ui::{Hidden, view};

#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) workspace: WorkspaceId,
    pub(super) id: WebhookId,
}

impl Names {
    /// The hidden fields that name the webhook to a function without a form struct.
    pub(super) fn plain(self) -> AnyView {
        view! {
            <Hidden name="workspace" value=self.workspace.to_string()/>
            <Hidden name="webhook" value=self.id.to_string()/>
        }
        .into_any()
    }

    pub(super) fn in_form(self) -> AnyView {
        view! {
            <Hidden name="form[workspace]" value=self.workspace.to_string()/>
            <Hidden name="form[webhook]" value=self.id.to_string()/>
        }
        .into_any()
    }
}

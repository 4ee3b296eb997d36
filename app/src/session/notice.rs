//! The notice for people with an unconfirmed email address: its limits, and how to get the link again.

use leptos::prelude::*;
use server_fn::ServerFn;

use super::api::ResendConfirmation;
use crate::ui::{Form, Icon, Submit, icon, view};

/// The banner above pages while the email address is not confirmed.
#[component]
pub fn ConfirmFirst() -> impl IntoView {
    view! {
        <section class="banner callout" data-tone="warning" aria-label="Unconfirmed email address">
            {icon(Icon::Mail)}
            <div>
                <p>
                    <strong>"Confirm your email address."</strong>
                    " Open the link in the email we sent you. Until then you can't create API keys, webhooks or workspaces, \
                     invite people, or receive notifications by email."
                </p>
                <Form action=ResendConfirmation::PATH key="notice" class="inline-form">
                    <Submit class="button button-small">"Resend Email"</Submit>
                </Form>
            </div>
        </section>
    }
}

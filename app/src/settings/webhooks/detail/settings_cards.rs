//! The cards that change a webhook: its settings, its secret, and its deletion.

use domain::catalog::Mode;
use domain::webhooks::WebhookView;
use leptos::prelude::*;
use server_fn::ServerFn;

use super::names::Names;
use crate::settings::webhooks::api::{
    DeleteWebhook, RotateWebhookSecret, ShowWebhookSecret, UpdateWebhook,
};
use crate::settings::webhooks::page::{InitialValues, fields, try_button};
use crate::ui::{
    Card, CurrentPassword, Data, Field, Form, Icon, Submit, Time, icon, use_stale_sign_in, view,
};

pub(super) fn settings(data: Data<WebhookView>, names: Names) -> AnyView {
    let held = data.with_untracked(|view| InitialValues {
        url: Signal::derive(move || data.with(|view| view.url.clone())),
        description: Signal::derive(move || data.with(|view| view.description.clone())),
        types: view.event_types.clone(),
        filters: view.filters.clone(),
        headers: view.header_names.clone(),
        is_test: view.mode == Mode::Test,
        test_events: view.include_test_events,
    });
    view! {
        <Card title="Settings" text="Changing the URL creates a new signing secret.">
            <Form action=UpdateWebhook::PATH guard=true>
                {names.in_form()}
                {fields(held)}
                <CurrentPassword ask=use_stale_sign_in() hint="Required to change the URL because you signed in more than 15 minutes ago"/>
                <div class="form-actions"><Submit>"Save Changes"</Submit>{try_button()}</div>
            </Form>
        </Card>
    }
    .into_any()
}

pub(super) fn secret(data: Data<WebhookView>, names: Names, ask: Signal<bool>) -> AnyView {
    view! {
        <Card title="Secret" text="Use this secret to verify webhook signatures (Standard Webhooks).">
            {move || data.with(|view| view.overlap_until).map(|until| view! {
                <div class="callout" data-tone="info">{icon(Icon::Info)}<p>"The previous secret also works. It expires "<Time at=until ahead=true/>"."</p></div>
            })}
            <Form action=ShowWebhookSecret::PATH>
                {names.in_form()}
                <CurrentPassword ask=ask/>
                <div class="form-actions"><Submit class="button">"Show Secret"</Submit></div>
            </Form>
            <Form action=RotateWebhookSecret::PATH>
                {names.in_form()}
                <CurrentPassword ask=ask/>
                <div class="form-actions"><Submit class="button">"Rotate Secret"</Submit></div>
            </Form>
        </Card>
    }
    .into_any()
}

pub(super) fn danger(data: Data<WebhookView>, names: Names) -> AnyView {
    let host = data.with_untracked(|view| view.host.clone());
    view! {
        <section class="card card-danger" aria-labelledby="delete-webhook">
            <h2 class="card-title" id="delete-webhook">"Delete Webhook"</h2>
            <p class="card-text">"Stops all deliveries and permanently deletes their history."</p>
            <Form action=DeleteWebhook::PATH>
                {names.in_form()}
                <Field name="host" label="Host" hint=format!("Type {host} to confirm")/>
                <CurrentPassword ask=use_stale_sign_in()/>
                <div class="form-actions"><Submit class="button button-danger">"Delete Webhook"</Submit></div>
            </Form>
        </section>
    }
    .into_any()
}

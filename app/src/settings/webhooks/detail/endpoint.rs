//! The card of the endpoint: its URL, its status, the test, and charts of its attempts.

use domain::catalog::EventType;
use domain::webhooks::{Status, WebhookView};
use leptos::prelude::*;
use server_fn::ServerFn;

use super::names::Names;
use crate::settings::webhooks::api::{SetWebhookStatus, TestWebhook};
use crate::settings::webhooks::chart::{attempts, chart};
use crate::settings::webhooks::page::{status_badge, test_badge};
use crate::ui::{Card, Data, Form, Hidden, Icon, Submit, Time, icon, view};

pub(super) fn state(data: Data<WebhookView>, names: Names) -> AnyView {
    let status = Memo::new(move |_| data.with(|view| view.status));
    let mode = data.with_untracked(|view| view.mode);
    let test_options = EventType::ALL
        .map(
            |event_type| view! { <option value=event_type.as_str()>{event_type.as_str()}</option> },
        )
        .collect_view();
    let toggle = move || {
        let (wanted, label) = match status.get() {
            Status::Enabled => ("paused", "Pause"),
            Status::Paused | Status::Disabled => ("enabled", "Enable"),
        };
        view! {
            <Form action=SetWebhookStatus::PATH class="inline-form">
                {names.plain()}
                <Hidden name="status" value=wanted.to_owned()/>
                <Submit class="button">{label}</Submit>
            </Form>
        }
    };
    view! {
        <Card title="Endpoint">
            <p class="endpoint"><code>{move || data.with(|view| view.url.clone())}</code>" "{move || status_badge(status.get())}{test_badge(mode)}</p>
            {move || data.with(|view| (!view.description.is_empty()).then(|| view! { <p class="muted">{view.description.clone()}</p> }))}
            {move || data.with(reason)}
            <div class="row">
                <Form action=TestWebhook::PATH class="inline-form">
                    {names.plain()}
                    <select class="select select-inline" name="event_type" aria-label="Test event type">{test_options}</select>
                    <Submit class="button button-primary">"Test"</Submit>
                </Form>
                {toggle}
            </div>
            <div class="charts">
                {move || data.with(|view| chart("Last 24 hours", &view.day))}
                {move || data.with(|view| chart("Last 7 days", &view.week))}
            </div>
        </Card>
    }
    .into_any()
}

/// Why the webhook sends nothing, if so.
fn reason(view: &WebhookView) -> Option<AnyView> {
    let by = view.status_by.clone().unwrap_or_default();
    let at = view.status_at.map(|at| view! { " "<Time at/> });
    match view.status {
        Status::Paused => Some(view! {
            <div class="callout" data-tone="info">{icon(Icon::Info)}<p>"Paused by "{by}{at}". No events are sent while paused."</p></div>
        }.into_any()),
        Status::Disabled => {
            let why = view.status_reason.clone().unwrap_or_default();
            Some(view! {
                <div class="callout" data-tone="warning">{icon(Icon::Warning)}
                    <p>"Disabled"{at}": "{why}". Fix your endpoint, send a test, then enable it and resend failed deliveries."</p>
                </div>
            }.into_any())
        }
        Status::Enabled => view.circuit_open_until.map(|until| view! {
            <div class="callout" data-tone="warning">{icon(Icon::Clock)}
                <p>{attempts(view.failures.into())}" in a row failed. Next try "<Time at=until ahead=true/>"; other events are queued."</p>
            </div>
        }.into_any()),
    }
}

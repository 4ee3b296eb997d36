//! An open delivery: its body, its attempts, and the buttons to send it again and to copy it as a command.

use domain::DeliveryId;
use domain::webhooks::{AttemptView, DeliveryView, WebhookView};
use leptos::prelude::*;
use server_fn::ServerFn;

use super::names::Names;
use super::route_query::RouteQuery;
use crate::settings::webhooks::api::{ResendDelivery, ShowDeliveryCurl};
use crate::ui::{Badge, CurrentPassword, Data, Form, Hidden, Icon, Submit, Time, icon, rows, view};

pub(super) fn resend(id: DeliveryId, names: Names, class: &'static str) -> AnyView {
    let as_icon = class == "icon-button";
    view! {
        <Form action=ResendDelivery::PATH class="inline-form" key=format!("{id}{}", if as_icon { "" } else { "-open" })>
            <Hidden name="workspace" value=names.workspace.to_string()/>
            <Hidden name="delivery" value=id.to_string()/>
            <button class=class aria-label="Resend" title="Resend">
                {icon(Icon::RotateCw)}{(!as_icon).then_some("Resend")}
            </button>
        </Form>
    }
    .into_any()
}

/// An open delivery: the request body and every attempt, newest first.
pub(super) fn delivery_panel(
    data: Data<WebhookView>,
    names: Names,
    asked: RouteQuery,
    ask: Signal<bool>,
) -> Option<AnyView> {
    let first = data.with_untracked(|view| view.opened.clone())?;
    let delivery = Memo::new(move |before: Option<&DeliveryView>| {
        let now = data.with(|view| view.opened.clone());
        // While it closes, it stays as it was.
        now.unwrap_or_else(|| before.unwrap_or(&first).clone())
    });
    let (id, event, event_type, body) = delivery.with_untracked(|delivery| {
        let DeliveryView {
            id,
            event,
            event_type,
            body,
            ..
        } = delivery.clone();
        (id, event, event_type, body)
    });
    let status = move || delivery.with(|delivery| delivery.status);
    let next = move || {
        let at = delivery.with(|delivery| delivery.next_attempt_at);
        at.map(|at| view! { <dt>"Next attempt"</dt><dd><Time at ahead=true/></dd> })
    };
    let attempts = rows(
        move || delivery.with(|delivery| delivery.attempts.clone()),
        attempt,
    );
    Some(view! {
        <section class="delivery" id="delivery" aria-label="Delivery">
            <div class="filters">
                <h3 class="delivery-title">{event_type.as_str()}" "{move || view! { <Badge tone=status().tone()>{status().label()}</Badge> }}</h3>
                <div class="row">
                    {resend(id, names, "button")}
                    <a class="button" href=move || asked.with("delivery", "")>"Close"</a>
                </div>
            </div>
            <dl class="facts">
                <dt>"Delivery"</dt><dd><code>{id.to_string()}</code></dd>
                <dt>"webhook-id"</dt><dd><code>{event}</code></dd>
                {next}
            </dl>
            <ol class="timeline">{attempts}</ol>
            <details><summary>"Request body"</summary><pre class="code">{body}</pre></details>
            <Form action=ShowDeliveryCurl::PATH class="inline-form">
                <Hidden name="form[workspace]" value=names.workspace.to_string()/>
                <Hidden name="form[delivery]" value=id.to_string()/>
                <CurrentPassword ask=ask/>
                <Submit class="button">"Copy as curl"</Submit>
            </Form>
        </section>
    }
    .into_any())
}

fn attempt(attempt: AttemptView) -> AnyView {
    let block = |title: &'static str, text: Option<String>| {
        text.filter(|text| !text.is_empty()).map(
            |text| view! { <h4 class="attempt-part">{title}</h4><pre class="code">{text}</pre> },
        )
    };
    let cleared = attempt.request_headers.is_none();
    view! {
        <li class="attempt" data-good=attempt.good.to_string()>
            <details>
                <summary>
                    {icon(if attempt.good { Icon::CircleCheck } else { Icon::CircleX })}
                    <span>"Attempt "{attempt.number}": "<strong>{attempt.outcome}</strong></span>
                    <span class="muted small tabular">{attempt.duration_ms}" ms · "<Time at=attempt.at/></span>
                </summary>
                {cleared.then(|| view! { <p class="hint">"Headers and bodies are kept for 30 days"</p> })}
                {block("Request headers", attempt.request_headers)}
                {block("Response headers", attempt.response_headers)}
                {block("Response body", attempt.response_body)}
            </details>
        </li>
    }
    .into_any()
}

//! The page of one webhook: its status, its settings, and every delivery with every attempt.

use domain::catalog::{EventType, Mode};
use domain::webhooks::{
    AttemptView, DeliveryRow, DeliveryStatus, DeliveryView, Status, WebhookView,
};
use domain::{DeliveryId, Topic, WebhookId, WorkspaceId};
use leptos::prelude::*;
use leptos_meta::Title;
use server_fn::ServerFn;

use super::api::{
    DeleteWebhook, LoadWebhook, RecoverDeliveries, ResendDelivery, RotateWebhookSecret,
    SetWebhookStatus, ShowDeliveryCurl, ShowWebhookSecret, TestWebhook, UpdateWebhook,
};
use super::chart::{attempts, chart};
use super::page::{InitialValues, fields, status_badge, test_badge, try_button};
use crate::ui::{
    Badge, Card, CurrentPassword, Data, Empty, Field, Form, Hidden, Icon, NewSecret, PageHeader,
    StatusMessages, Submit, Time, forget_secret_on_leaving, guarded, icon, last_part, rows,
    use_asked, use_slug, use_stale_sign_in, view,
};

#[component]
pub fn WebhookPage() -> impl IntoView {
    let (slug, id) = (use_slug(), last_part());
    let asked = RouteQuery {
        status: use_asked("status"),
        event_type: use_asked("type"),
        hours: use_asked("hours"),
        before: use_asked("before"),
        delivery: use_asked("delivery"),
    };
    forget_secret_on_leaving();
    view! {
        <Title text="Webhook"/>
        <p class="crumb"><a href=move || format!("/w/{}/settings/webhooks", slug.get())>"Webhooks"</a></p>
        <PageHeader title="Webhook" lead="Status, deliveries and settings."/>
        {guarded(
            move || LoadWebhook {
                workspace: slug.get(),
                webhook: id.clone(),
                status: asked.status.get(),
                event_type: asked.event_type.get(),
                hours: asked.hours.get(),
                before: asked.before.get(),
                delivery: asked.delivery.get(),
            },
            &[Topic::Webhooks, Topic::Deliveries],
            move |data| webhook(data, asked),
        )}
    }
}

/// The query parameters of the page.
#[derive(Clone, Copy)]
struct RouteQuery {
    status: Memo<String>,
    event_type: Memo<String>,
    hours: Memo<String>,
    before: Memo<String>,
    delivery: Memo<String>,
}

impl RouteQuery {
    /// The URL of the filtered list with one parameter changed.
    fn with(self, name: &str, value: &str) -> String {
        let mut address = String::from("?");
        for (known, signal) in [
            ("status", self.status),
            ("type", self.event_type),
            ("hours", self.hours),
            ("before", self.before),
            ("delivery", self.delivery),
        ] {
            // Another filter starts at the first page, with no delivery open.
            let old = match known {
                "before" if name != "delivery" => String::new(),
                "delivery" => String::new(),
                _ => signal.get(),
            };
            let value = if known == name { value } else { &old };
            if !value.is_empty() {
                address += &format!("{known}={value}&");
            }
        }
        address.truncate(address.len() - 1);
        if address.is_empty() {
            "?".to_owned()
        } else {
            address
        }
    }
}

#[derive(Clone, Copy)]
struct Names {
    workspace: WorkspaceId,
    id: WebhookId,
}

impl Names {
    /// The hidden fields that name the webhook to a function without a form struct.
    fn plain(self) -> AnyView {
        view! {
            <Hidden name="workspace" value=self.workspace.to_string()/>
            <Hidden name="webhook" value=self.id.to_string()/>
        }
        .into_any()
    }

    fn in_form(self) -> AnyView {
        view! {
            <Hidden name="form[workspace]" value=self.workspace.to_string()/>
            <Hidden name="form[webhook]" value=self.id.to_string()/>
        }
        .into_any()
    }
}

fn webhook(data: Data<WebhookView>, asked: RouteQuery) -> impl IntoView {
    let names = data.with_untracked(|view| Names {
        workspace: view.workspace,
        id: view.id,
    });
    let ask = Signal::derive(move || data.with(|view| view.ask_password));
    view! {
        {shown_once()}
        {state(data, names)}
        {deliveries(data, names, asked, ask)}
        {settings(data, names)}
        {secret(data, names, ask)}
        {danger(data, names)}
    }
}

/// A secret, or a command that contains a signature, shown to the person who asked for it.
fn shown_once() -> impl IntoView {
    let said = expect_context::<StatusMessages>();
    let is_command = Memo::new(move |_| {
        said.secret()
            .is_some_and(|text| text.expose().starts_with("curl "))
    });
    move || {
        if is_command.get() {
            view! {
                <NewSecret label="curl command" text="Signed just now. Most endpoints accept it for 5 minutes."
                    command=Callback::new(|text: String| text.replace(" -H ", " \\\n  -H ").replace(" --data-raw ", " \\\n  --data-raw "))/>
            }.into_any()
        } else {
            view! {
                <NewSecret label="Signing Secret" text="Use it to verify webhook signatures."
                    command=Callback::new(|text: String| format!("WEBHOOK_SECRET={text}"))/>
            }
            .into_any()
        }
    }
}

fn state(data: Data<WebhookView>, names: Names) -> AnyView {
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

fn deliveries(
    data: Data<WebhookView>,
    names: Names,
    asked: RouteQuery,
    ask: Signal<bool>,
) -> AnyView {
    let none = Memo::new(move |_| data.with(|view| view.deliveries.is_empty()));
    // Only another delivery is drawn again: someone may be typing a password into the open one.
    let opened = Memo::new(move |_| data.with(|view| view.opened.as_ref().map(|opened| opened.id)));
    let tab = move |value: &'static str, label: &'static str| {
        let current = move || (asked.status.get() == value).then_some("page");
        view! { <a class="tab" href=move || asked.with("status", value) aria-current=current>{label}</a> }
    };
    let option = |value: &'static str, label: &'static str, chosen: &str| {
        let selected = value == chosen;
        view! { <option value=value selected=selected>{label}</option> }
    };
    let types = move || {
        let chosen = asked.event_type.get();
        EventType::ALL
            .map(|event_type| option(event_type.as_str(), event_type.as_str(), &chosen))
            .collect_view()
    };
    let times = move || {
        let chosen = asked.hours.get();
        [
            ("", "Any time"),
            ("1", "Last hour"),
            ("24", "Last 24 hours"),
            ("168", "Last 7 days"),
        ]
        .map(|(value, label)| option(value, label, &chosen))
        .collect_view()
    };
    view! {
        <Card title="Deliveries">
            <div class="filters">
                <nav class="tabs" aria-label="Filter deliveries by status">
                    {tab("", "All")}
                    {DeliveryStatus::ALL.map(|status| tab(status.as_str(), status.label())).collect_view()}
                </nav>
                <form method="get" class="inline-form">
                    <input type="hidden" name="status" value=move || asked.status.get()/>
                    <select class="select select-inline" name="type" aria-label="Event type"><option value="">"Any type"</option>{types}</select>
                    <select class="select select-inline" name="hours" aria-label="Time">{times}</select>
                    <button class="button">"Filter"</button>
                </form>
                <Form action=RecoverDeliveries::PATH class="inline-form">
                    {names.plain()}
                    <select class="select select-inline" name="hours" aria-label="Resend failed since">
                        <option value="1">"Last hour"</option><option value="24" selected=true>"Last 24 hours"</option>
                        <option value="168">"Last 7 days"</option><option value="720">"Last 30 days"</option>
                    </select>
                    <Submit class="button">"Resend Failed"</Submit>
                </Form>
            </div>
            {move || opened.get().and_then(|_| delivery_panel(data, names, asked, ask))}
            {move || if none.get() {
                view! { <Empty mark=Icon::Zap title="No deliveries yet" text="Send a test event to see one."/> }.into_any()
            } else {
                view! {
                    <div class="table-wrap">
                        <table class="table table-stack">
                            <caption class="visually-hidden">"Deliveries"</caption>
                            <thead><tr>
                                <th scope="col">"Event"</th><th scope="col">"Status"</th><th scope="col">"Response"</th>
                                <th scope="col">"Attempts"</th><th scope="col">"When"</th><td></td>
                            </tr></thead>
                            <tbody>{rows(move || data.with(|view| view.deliveries.clone()), move |row| delivery_row(row, names, asked))}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
            {move || data.with(|view| view.next).map(|next: DeliveryId| view! {
                <p class="pager"><a class="button" href=move || asked.with("before", &next.to_string())>"Older"</a></p>
            })}
        </Card>
    }
    .into_any()
}

fn delivery_row(row: DeliveryRow, names: Names, asked: RouteQuery) -> AnyView {
    let id = row.id;
    let href = move || format!("{}#delivery", asked.with("delivery", &id.to_string()));
    let status = row.status;
    view! {
        <tr data-status=status.as_str()>
            <th scope="row" data-label="Event">
                <a href=href>{row.event_type.as_str()}</a>
                {row.test.then(|| view! { " "<Badge tone="neutral">"Test"</Badge> })}
            </th>
            <td data-label="Status"><Badge tone=status.tone()>{status.label()}</Badge></td>
            <td data-label="Response">{row.last}</td>
            <td data-label="Attempts" class="tabular">{row.attempts}</td>
            <td data-label="When"><Time at=row.created_at/></td>
            <td class="actions">{resend(id, names, "icon-button")}</td>
        </tr>
    }
    .into_any()
}

fn resend(id: DeliveryId, names: Names, class: &'static str) -> AnyView {
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
fn delivery_panel(
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

fn settings(data: Data<WebhookView>, names: Names) -> AnyView {
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

fn secret(data: Data<WebhookView>, names: Names, ask: Signal<bool>) -> AnyView {
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

fn danger(data: Data<WebhookView>, names: Names) -> AnyView {
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

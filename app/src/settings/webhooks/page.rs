use domain::Topic;
use domain::catalog::{Category, EventType, Mode};
use domain::webhooks::{
    FILTER_ROWS, FilterForm, HEADER_ROWS, Operator, Status, WebhookRow, WebhooksView,
};
use leptos::prelude::*;
use leptos_meta::Title;
use server_fn::ServerFn;
use wasm_bindgen::JsCast;
use web_sys::HtmlInputElement;

use super::api::{CreateWebhook, LoadWebhooks};
use super::chart::{attempts, rate};
use crate::ui::{
    Badge, Card, Checkbox, CurrentPassword, Data, Empty, Field, Form, GroupError, Hidden, Icon,
    PageHeader, Submit, Time, guarded, rows, use_slug, use_stale_sign_in, use_typed, view,
};

#[component]
pub fn WebhooksPage() -> impl IntoView {
    let slug = use_slug();
    view! {
        <Title text="Webhooks"/>
        <PageHeader title="Webhooks" lead="Send events to your CRM, Clay, Zapier, Make and other services in real time."/>
        {guarded(
            move || LoadWebhooks { workspace: slug.get() },
            &[Topic::Webhooks, Topic::Deliveries],
            move |data| webhooks(data, slug),
        )}
    }
}

fn webhooks(data: Data<WebhooksView>, slug: Memo<String>) -> impl IntoView {
    let none = Memo::new(move |_| data.with(|view| view.webhooks.is_empty()));
    let workspace = data.with_untracked(|view| view.workspace.to_string());
    view! {
        <Card title="Endpoints">
            {move || if none.get() {
                view! { <Empty mark=Icon::Zap title="No webhooks yet" text="Add an endpoint to start receiving events."/> }.into_any()
            } else {
                view! {
                    <div class="table-wrap">
                        <table class="table table-stack">
                            <caption class="visually-hidden">"Webhooks"</caption>
                            <thead><tr>
                                <th scope="col">"URL"</th><th scope="col">"Events"</th><th scope="col">"Status"</th>
                                <th scope="col">"Last 24 hours"</th><th scope="col">"Last success"</th>
                            </tr></thead>
                            <tbody>{rows(move || data.with(|view| view.webhooks.clone()), move |row| webhook_row(row, slug))}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
        <details class="card fold" id="create-webhook" open=true>
            <summary><span class="card-title">"Add Webhook"</span></summary>
            <Form action=CreateWebhook::PATH guard=true>
                <Hidden name="form[workspace]" value=workspace/>
                {fields(InitialValues::default())}
                <CurrentPassword ask=use_stale_sign_in()/>
                <div class="form-actions">
                    <Submit>"Create Webhook"</Submit>
                    {try_button()}
                </div>
            </Form>
        </details>
    }
}

fn webhook_row(row: WebhookRow, slug: Memo<String>) -> AnyView {
    let id = row.id;
    let href = move || format!("/w/{}/settings/webhooks/{id}", slug.get());
    let total = row.succeeded + row.failed;
    view! {
        <tr>
            <th scope="row" data-label="URL">
                <a href=href>{row.url}</a>
                {test_badge(row.mode)}
                {(!row.description.is_empty()).then(|| view! { <span class="muted small block">{row.description}</span> })}
            </th>
            <td data-label="Events">{row.types}</td>
            <td data-label="Status">{status_badge(row.status)}</td>
            <td data-label="24 hours" class="tabular">{if total == 0 { "No attempts".to_owned() } else { format!("{} · {}", rate(row.succeeded, total), attempts(total)) }}</td>
            <td data-label="Last success">{match row.last_success_at {
                Some(at) => view! { <Time at/> }.into_any(),
                None => "—".into_any(),
            }}</td>
        </tr>
    }
    .into_any()
}

pub(super) fn status_badge(status: Status) -> AnyView {
    view! { <Badge tone=status.tone()>{status.label()}</Badge> }.into_any()
}

/// Marks a webhook of test mode. Live webhooks have no mark.
pub(super) fn test_badge(mode: Mode) -> Option<AnyView> {
    (mode == Mode::Test)
        .then(|| view! { " "<Badge tone="warning">{mode.label()}</Badge> }.into_any())
}

/// The initial values of the form.
#[derive(Clone, Default)]
pub(super) struct InitialValues {
    pub url: Signal<String>,
    pub description: Signal<String>,
    pub types: Vec<EventType>,
    pub filters: Vec<FilterForm>,
    pub headers: Vec<String>,
    /// In test mode, a webhook always receives test events.
    pub is_test: bool,
    pub test_events: bool,
}

/// The button that tries the types and filters on recent events and saves nothing.
pub(super) fn try_button() -> AnyView {
    view! { <button class="button" name="form[dry_run]" value="yes">"Preview Matches"</button> }
        .into_any()
}

/// The fields of the form, for new webhooks and for existing ones.
pub(super) fn fields(held: InitialValues) -> AnyView {
    let types = Category::ALL
        .map(|category| category_types(category, &held.types))
        .collect_view();
    let filters = (0..FILTER_ROWS.max(held.filters.len()))
        .map(|index| filter_row(index, held.filters.get(index).cloned().unwrap_or_default()))
        .collect_view();
    let headers = (0..HEADER_ROWS.max(held.headers.len()))
        .map(|index| header_row(index, held.headers.get(index).cloned().unwrap_or_default()))
        .collect_view();
    view! {
        <Field name="url" label="URL" kind="url" value=held.url hint="e.g. https://example.com/webhooks"/>
        <Field name="description" label="Description" value=held.description hint="Optional. Only your team sees this."/>
        <fieldset class="group">
            <legend>"Event types"</legend>
            <p class="hint">"Leave all unchecked to receive every event, including new ones"</p>
            <div class="form-actions script-only">
                <button type="button" class="button button-small" on:click=|event| check_all(&event, true)>"Select All"</button>
                <button type="button" class="button button-small" on:click=|event| check_all(&event, false)>"Clear"</button>
            </div>
            <div class="type-groups">{types}</div>
            <GroupError name="event_types"/>
        </fieldset>
        <fieldset class="group">
            <legend>"Filters"</legend>
            <p class="hint">"Only send events that match every filter. Use a path like data.stage."</p>
            {filters}
            <GroupError name="filters"/>
        </fieldset>
        <details class="group" open=!held.headers.is_empty()>
            <summary>"Custom Headers"</summary>
            <p class="hint">"Sent with every delivery. Values are encrypted and can't be viewed again. Leave a value blank to keep it, unless you change the host of the URL."</p>
            {headers}
            <GroupError name="headers"/>
        </details>
        {if held.is_test {
            view! { <p class="hint">"Created with a test key. Receives test events only."</p> }.into_any()
        } else {
            test_events(held.test_events)
        }}
    }
    .into_any()
}

fn category_types(category: Category, chosen: &[EventType]) -> AnyView {
    let boxes = EventType::ALL
        .into_iter()
        .filter(|event_type| event_type.category() == category)
        .map(|event_type| {
            let checked = chosen.contains(&event_type);
            view! { <Checkbox name="event_types" value=event_type.as_str() label=event_type.as_str() checked=checked/> }
        })
        .collect_view();
    view! {
        <fieldset class="type-group">
            <legend>{category.label()}</legend>
            {boxes}
        </fieldset>
    }
    .into_any()
}

/// Checks or clears every box of the group around the button.
fn check_all(event: &leptos::ev::MouseEvent, checked: bool) {
    let button = event
        .target()
        .and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let Some(Ok(Some(group))) = button.map(|button| button.closest("fieldset")) else {
        return;
    };
    let Ok(boxes) = group.query_selector_all("input[type=checkbox]") else {
        return;
    };
    for index in 0..boxes.length() {
        if let Some(item) = boxes
            .item(index)
            .and_then(|item| item.dyn_into::<HtmlInputElement>().ok())
        {
            item.set_checked(checked);
        }
    }
}

/// A field of a row: a list of things with fields has names like `form[filters][0][path]`.
fn cell(list: &str, index: usize, field: &str, label: &str, value: &str, secret: bool) -> AnyView {
    let name = format!("{list}][{index}][{field}");
    let value = use_typed(&name).unwrap_or_else(|| value.to_owned());
    let kind = if secret { "password" } else { "text" };
    view! {
        <input class="input" type=kind name=format!("form[{name}]") value=value aria-label=format!("{label} {}", index + 1)
            placeholder=label.to_owned() autocomplete="off" spellcheck="false" autocapitalize="none"/>
    }
    .into_any()
}

fn filter_row(index: usize, row: FilterForm) -> AnyView {
    let name = format!("filters][{index}][operator");
    let chosen = use_typed(&name).unwrap_or(row.operator);
    let options = Operator::ALL
        .map(|operator| {
            let selected = operator.as_str() == chosen;
            view! { <option value=operator.as_str() selected=selected>{operator.label()}</option> }
        })
        .collect_view();
    view! {
        <div class="filter-row">
            {cell("filters", index, "path", "Path", &row.path, false)}
            <select class="select" name=format!("form[{name}]") aria-label=format!("Operator {}", index + 1)>{options}</select>
            {cell("filters", index, "value", "Value", &row.value, false)}
        </div>
    }
    .into_any()
}

fn header_row(index: usize, name: String) -> AnyView {
    view! {
        <div class="filter-row header-row">
            {cell("headers", index, "name", "Header", &name, false)}
            {cell("headers", index, "value", "Header value", "", true)}
        </div>
    }
    .into_any()
}

fn test_events(checked: bool) -> AnyView {
    let checked = use_typed("url").map_or(checked, |_| use_typed("include_test_events").is_some());
    view! {
        <div class="check">
            <label>
                <input type="checkbox" name="form[include_test_events]" value="on" checked=checked/>
                <span>"Include test events"</span>
            </label>
            <p class="hint">"Also send events created with test keys (mode: test)"</p>
        </div>
    }
    .into_any()
}

//! The list of deliveries, with its filters and the delivery that is open.

use domain::DeliveryId;
use domain::catalog::EventType;
use domain::webhooks::{DeliveryRow, DeliveryStatus, WebhookView};
use leptos::prelude::*;
use server_fn::ServerFn;

use super::names::Names;
use super::open_delivery::{delivery_panel, resend};
use super::route_query::RouteQuery;
use crate::settings::webhooks::api::RecoverDeliveries;
use crate::ui::{Badge, Card, Data, Empty, Form, Icon, Submit, Time, rows, view};

pub(super) fn deliveries(
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

use domain::Topic;
use domain::catalog::{Category, Channel, EventType};
use domain::notifications::{MatrixView, Range, Switch as Which};
use leptos::prelude::*;
use leptos_meta::Title;
use server_fn::ServerFn;

use super::api::{LoadMatrix, LoadUnsubscribe, SetNotifications, Unsubscribe};
use crate::ui::{
    AuthLayout, Card, Data, Form, Hidden, PageHeader, Submit, Switch, guarded, last_part, view,
};

/// A switch's accessible name: `Billing: Email`.
pub fn cell_name(which: Which) -> String {
    match which {
        Which::Cell(category, channel) => format!("{}: {}", category.label(), channel.label()),
        Which::Quiet(event) => event.label().to_owned(),
    }
}

#[component]
pub fn NotificationsPage() -> impl IntoView {
    view! {
        <Title text="Notifications"/>
        <PageHeader
            title="Notifications"
            lead="Choose what you're notified about and how. Changes save automatically and apply to all your workspaces."
        />
        {guarded(|| LoadMatrix {}, &[Topic::Preferences, Topic::Inbox], matrix)}
    }
}

fn matrix(data: Data<MatrixView>) -> impl IntoView {
    view! {
        <div class="table-wrap">
            <table class="matrix">
                <caption class="visually-hidden">"Notifications by type and channel"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Type"</th>
                        {Channel::ALL.into_iter().map(|channel| view! {
                            <th scope="col" id=channel.as_str()>{channel.label()}</th>
                        }).collect_view()}
                        <td class="matrix-all"><span class="visually-hidden">"All channels"</span></td>
                    </tr>
                </thead>
                <tbody>
                    {Category::ALL.into_iter().map(|category| row(data, category)).collect_view()}
                </tbody>
                <tfoot>
                    <tr>
                        <td><span class="muted small">"All types"</span></td>
                        {Channel::ALL.into_iter().map(|channel| view! {
                            <td>{all(Range::Column(channel), channel.label())}</td>
                        }).collect_view()}
                        <td class="matrix-all"></td>
                    </tr>
                </tfoot>
            </table>
        </div>
        <Card title="High-Volume Events" text="Off by default. When on, they use the channels you chose above.">
            <ul class="divided-list">
                {EventType::QUIET.into_iter().map(|event| {
                    let which = Which::Quiet(event);
                    let stored = Signal::derive(move || data.with(|matrix| matrix.is_on(which)));
                    view! {
                        <li class="list-row" id=which.place()>
                            <p class="list-main">{event.label()}</p>
                            <Switch which name=cell_name(which) stored/>
                        </li>
                    }
                }).collect_view()}
            </ul>
        </Card>
    }
}

fn row(data: Data<MatrixView>, category: Category) -> impl IntoView {
    let sent = move || {
        data.with(|matrix| {
            matrix
                .rows
                .iter()
                .find(|row| row.category == category)
                .map_or(0, |row| row.sent)
        })
    };
    let text_id = format!("{category}-text");
    let describing = text_id.clone();
    view! {
        <tr id=category.as_str()>
            <th scope="row" aria-describedby=text_id.clone()>
                <span class="matrix-label">{category.label()}</span>
            </th>
            {Channel::ALL.into_iter().map(|channel| {
                let which = Which::Cell(category, channel);
                let stored = Signal::derive(move || data.with(|matrix| matrix.is_on(which)));
                view! {
                    <td id=which.place()><Switch which name=cell_name(which) stored described_by=describing.clone()/></td>
                }
            }).collect_view()}
            <td class="matrix-all">{all(Range::Row(category), category.label())}</td>
        </tr>
        <tr class="matrix-note">
            <td colspan="4">
                <span class="matrix-text" id=text_id>{category.description()}</span>
                <span class="muted small tabular">{move || match sent() {
                    0 => " · None in the last 30 days".to_owned(),
                    n => format!(" · {n} in the last 30 days"),
                }}</span>
            </td>
        </tr>
    }
}

fn all(range: Range, name: &'static str) -> impl IntoView {
    view! {
        <Form action=SetNotifications::PATH class="inline-form" key=range.to_string()>
            <Hidden name="range" value=range.to_string()/>
            <button class="button-tiny" name="on" value="true" aria-label=format!("{name}: all on")>"All on"</button>
            <button class="button-tiny" name="on" value="false" aria-label=format!("{name}: all off")>"All off"</button>
        </Form>
    }
}

/// Where an email's unsubscribe link leads: one button, no sign-in.
#[component]
pub fn UnsubscribePage() -> impl IntoView {
    let token = StoredValue::new(last_part());
    guarded(
        move || LoadUnsubscribe {
            token: token.get_value(),
        },
        &[],
        move |cell: Data<String>| {
            let cell = cell.get_untracked();
            view! {
                <AuthLayout title="Unsubscribe">
                    <p>"Stop sending you "<strong>{cell}</strong>"? Other notifications stay on."</p>
                    <Form action=Unsubscribe::PATH>
                        <Hidden name="token" value=token.get_value()/>
                        <Submit class="button button-primary button-wide">"Unsubscribe"</Submit>
                    </Form>
                </AuthLayout>
            }
        },
    )
}

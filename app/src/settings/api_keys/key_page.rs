//! The page of one key: its details, its name and scopes, and its requests in the last 7 days.

use domain::api_keys::{KeyView, RequestRow, Status};
use domain::catalog::Scope;
use domain::{Timestamp, Topic, grouped};
use leptos::prelude::*;
use leptos_meta::Title;
use server_fn::ServerFn;

use super::api::{LoadApiKey, NarrowApiKey, RenameApiKey};
use super::page::{curl, remarks};
use super::panels::{Around, actions, finish, last_use, mode_badge, status_badge};
use crate::ui::{
    Badge, Card, Checkbox, Data, Empty, Field, Form, GroupError, Hidden, Icon, LiveRow, NewSecret,
    PageHeader, Submit, Time, forget_secret_on_leaving, guarded, icon, last_part, live_rows, rows,
    use_asked, use_slug, view,
};

#[component]
pub fn ApiKeyPage() -> impl IntoView {
    let (slug, before) = (use_slug(), use_asked("before"));
    let key = last_part();
    forget_secret_on_leaving();
    view! {
        <Title text="API Key"/>
        {guarded(
            move || LoadApiKey { workspace: slug.get(), key: key.clone(), before: before.get() },
            &[Topic::ApiKeys, Topic::Workspace],
            shown,
        )}
    }
}

fn shown(data: Data<KeyView>) -> impl IntoView {
    let layout = Around {
        workspace: data.with_untracked(|view| view.workspace),
        ask: Signal::derive(move || data.with(|view| view.ask_password)),
    };
    let row = LiveRow::new(move || data.with(|view| view.key.clone()));
    // Drawn again only when this changes, because the key can be used while someone types.
    let status = Memo::new(move |_| row.with(|row| row.status));
    let works = Memo::new(move |_| row.with(|row| row.status.works()));
    let list =
        Signal::derive(move || data.with(|view| format!("/w/{}/settings/api-keys", view.slug)));
    view! {
        <PageHeader title="API Key" lead="Details, scopes and recent requests.">
            <a class="button" href=move || list.get()>"All Keys"</a>
        </PageHeader>
        <NewSecret
            label="API Key"
            text="This key is shown only once. Replace the old key with it."
            command=Callback::new(move |key: String| data.with_untracked(|view| curl(&view.api, &key)))
        />
        {move || (status.get() == Status::Rotating).then(|| rotating(data, layout, list))}
        <Card title="Details">
            {move || facts(data, list)}
            <div class="form-actions">{move || actions(row, status.get(), layout)}</div>
        </Card>
        {move || works.get().then(|| edit(data, layout))}
        {requests(data, list)}
    }
}

/// Helps to decide whether the old key can expire: when and from which IP address it was last used.
fn rotating(data: Data<KeyView>, layout: Around, list: Signal<String>) -> impl IntoView {
    data.with(|view| {
        let used = view.key.last_used.clone().map(|(at, address)| {
            view! { <p>"Last used "<Time at/>" from "<strong>{address}</strong>"."</p> }
        });
        view! {
            <div class="callout" data-tone="warning">
                {icon(Icon::RotateCw)}
                <div>
                    <p>
                        "Replaced by "
                        {view.successor.map(|id| view! { <a href=format!("{}/{id}", list.get())>"a new key"</a> })}
                        {view.key.retires_at.map(|at| view! { " · expires "<Time at ahead=true/> })}
                    </p>
                    {used}
                    <div class="row">{finish(view.key.id, layout)}</div>
                </div>
            </div>
        }
    })
}

fn facts(data: Data<KeyView>, list: Signal<String>) -> impl IntoView {
    let view = data.get();
    let key = view.key;
    let networks = if view.networks.is_empty() {
        "Any".to_owned()
    } else {
        view.networks.join(", ")
    };
    let badges = (
        mode_badge(key.mode),
        " ",
        status_badge(key.status),
        " ",
        remarks(key.unused, key.idle_scopes),
    );
    view! {
        <dl class="facts">
            <dt>"Name"</dt><dd>{key.name.clone()}" "{badges}</dd>
            <dt>"Token"</dt><dd><code>{key.hidden()}</code></dd>
            <dt>"Created"</dt><dd><Time at=key.created_at/>" by "{key.created_by.clone()}</dd>
            <dt>"Last used"</dt><dd>{last_use(key.last_used.clone())}</dd>
            <dt>"Expires"</dt><dd>{match key.expires_at {
                Some(at) => view! { <Time at ahead=key.status != Status::Expired/>" ("{at.exact()}")" }.into_any(),
                None => "Never".into_any(),
            }}</dd>
            <dt>"Allowed IP addresses"</dt><dd>{networks}</dd>
            {view.predecessor.map(|id| view! {
                <dt>"Rotated from"</dt><dd><a href=format!("{}/{id}", list.get())>"Previous key"</a></dd>
            })}
            {view.revoked.map(|(at, by)| view! { <dt>"Revoked"</dt><dd><Time at/>" by "{by}</dd> })}
        </dl>
    }
}

fn edit(data: Data<KeyView>, layout: Around) -> impl IntoView {
    let id = StoredValue::new(data.with_untracked(|view| view.key.id.to_string()));
    let name = Signal::derive(move || data.with(|view| view.key.name.clone()));
    view! {
        <Card title="Rename" text="This doesn't affect integrations.">
            <Form action=RenameApiKey::PATH guard=true>
                <Hidden name="form[workspace]" value=layout.workspace.to_string()/>
                <Hidden name="form[key]" value=id.get_value()/>
                <Field name="name" label="Name" value=name/>
                <div class="form-actions"><Submit>"Save Changes"</Submit></div>
            </Form>
        </Card>
        <Card title="Scopes" text="Uncheck scopes to remove them. To add scopes, create a new key.">
            <Form action=NarrowApiKey::PATH>
                <Hidden name="form[workspace]" value=layout.workspace.to_string()/>
                <Hidden name="form[key]" value=id.get_value()/>
                <fieldset class="scopes">
                    <legend class="visually-hidden">"Scopes"</legend>
                    <div class="scope-group">
                        {live_rows(move || data.with(|view| view.scopes.clone()), |(scope, _)| scope.as_str(), kept)}
                    </div>
                    <GroupError name="scopes"/>
                </fieldset>
                <div class="form-actions"><Submit class="button">"Remove Unchecked Scopes"</Submit></div>
            </Form>
        </Card>
    }
}

/// A scope of the key, as a checkbox.
fn kept(scope: LiveRow<(Scope, Option<Timestamp>)>) -> AnyView {
    let (value, label) = scope.with_untracked(|(scope, _)| (scope.as_str(), scope.label()));
    let used = move || match scope.with(|(_, used)| *used) {
        Some(at) => view! { <p class="hint">"Last used "<Time at/></p> }.into_any(),
        None => view! { <p class="hint"><Badge tone="neutral">"Never used"</Badge></p> }.into_any(),
    };
    view! { <Checkbox name="scopes" value=value label=label checked=true hint=used.into_any()/> }
        .into_any()
}

fn requests(data: Data<KeyView>, list: Signal<String>) -> impl IntoView {
    let none = Memo::new(move |_| data.with(|view| view.requests.is_empty()));
    let next = move || {
        data.with(|view| {
            view.next
                .map(|next| format!("{}/{}?before={next}", list.get(), view.key.id))
        })
    };
    view! {
        <Card title="Requests" text="Requests made with this key in the last 7 days.">
            <p class="muted tabular">{move || data.with(|view| match view.request_count {
                1 => "1 request".to_owned(),
                n => format!("{} requests", grouped(n.cast_signed())),
            })}</p>
            {move || if none.get() {
                view! { <Empty mark=Icon::Activity title="No requests yet" text="They appear here within seconds."/> }.into_any()
            } else {
                view! {
                    <div class="table-wrap">
                        <table class="table table-stack">
                            <caption class="visually-hidden">"Requests"</caption>
                            <thead><tr>
                                <th scope="col">"Request"</th><th scope="col">"Status"</th><th scope="col">"Duration"</th>
                                <th scope="col">"From"</th><th scope="col">"When"</th>
                            </tr></thead>
                            <tbody>{rows(move || data.with(|view| view.requests.clone()), request_row)}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
            {move || next().map(|href| view! { <p class="pager"><a class="button" href=href>"Next Page"</a></p> })}
        </Card>
    }
}

fn request_row(line: RequestRow) -> AnyView {
    let tone = match line.status {
        ..400 => "success",
        400..500 => "warning",
        _ => "danger",
    };
    let took = match line.duration_us {
        us @ ..1_000 => format!("{us} µs"),
        us => format!("{} ms", us / 1_000),
    };
    view! {
        <tr>
            <th scope="row" data-label="Request"><code>{line.method}" "{line.path}</code></th>
            <td data-label="Status"><Badge tone>{line.status}</Badge></td>
            <td data-label="Duration" class="tabular">{took}</td>
            <td data-label="From">{line.address}</td>
            <td data-label="When"><Time at=line.at/></td>
        </tr>
    }
    .into_any()
}

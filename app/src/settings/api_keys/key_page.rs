//! A key's own page: what is known of it, what can be changed, and what it did in the last 7 days.

use leptos::prelude::*;
use leptos_meta::Title;
use server_fn::ServerFn;

use super::api::{LoadApiKey, NarrowApiKey, RenameApiKey};
use super::model::{KeyView, RequestRow, Status};
use super::page::{curl, remarks};
use super::panels::{Around, actions, finish, last_use, mode_badge, status_badge};
use crate::catalog::Scope;
use crate::domain::Timestamp;
use crate::live::Topic;
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
    // What is drawn anew only when this changes: the key is used while someone types.
    let status = Memo::new(move |_| row.with(|row| row.status));
    let works = Memo::new(move |_| row.with(|row| row.status.works()));
    let list =
        Signal::derive(move || data.with(|view| format!("/w/{}/settings/api-keys", view.slug)));
    view! {
        <PageHeader title="Key" lead="What it may, where it is used, and what it did lately.">
            <a class="button" href=move || list.get()>"All keys"</a>
        </PageHeader>
        <NewSecret
            label="API Key"
            text="This is the only time that the whole key is shown. Put it where the old one is."
            command=Callback::new(move |key: String| data.with_untracked(|view| curl(&view.api, &key)))
        />
        {move || (status.get() == Status::Rotating).then(|| rotating(data, layout, list))}
        <Card title="Facts">
            {move || facts(data, list)}
            <div class="form-actions">{move || actions(row, status.get(), layout)}</div>
        </Card>
        {move || works.get().then(|| edit(data, layout))}
        {requests(data, list)}
    }
}

/// Whether the old key can stop: when and from where it was last used.
fn rotating(data: Data<KeyView>, layout: Around, list: Signal<String>) -> impl IntoView {
    data.with(|view| {
        let used = view.key.last_used.clone().map(|(at, address)| {
            view! { <p>"It was last used "<Time at/>" from "<strong>{address}</strong>"."</p> }
        });
        view! {
            <div class="callout" data-tone="warning">
                {icon(Icon::RotateCw)}
                <div>
                    <p>
                        "This key has a "
                        {view.successor.map(|id| view! { <a href=format!("{}/{id}", list.get())>"successor"</a> })}
                        {view.key.retires_at.map(|at| view! { " and stops "<Time at ahead=true/>"." })}
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
        "Everywhere".to_owned()
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
            <dt>"Allowed from"</dt><dd>{networks}</dd>
            {view.predecessor.map(|id| view! {
                <dt>"Rotated from"</dt><dd><a href=format!("{}/{id}", list.get())>"the key before"</a></dd>
            })}
            {view.revoked.map(|(at, by)| view! { <dt>"Revoked"</dt><dd><Time at/>" by "{by}</dd> })}
        </dl>
    }
}

fn edit(data: Data<KeyView>, layout: Around) -> impl IntoView {
    let id = StoredValue::new(data.with_untracked(|view| view.key.id.to_string()));
    let name = Signal::derive(move || data.with(|view| view.key.name.clone()));
    view! {
        <Card title="Edit" text="Where the key is used, nothing has to change for this.">
            <Form action=RenameApiKey::PATH guard=true>
                <Hidden name="form[workspace]" value=layout.workspace.to_string()/>
                <Hidden name="form[key]" value=id.get_value()/>
                <Field name="name" label="Name" value=name/>
                <div class="form-actions"><Submit>"Save Changes"</Submit></div>
            </Form>
        </Card>
        <Card title="Scopes" text="Uncheck what the key does not need. It never gets more: that takes a new key.">
            <Form action=NarrowApiKey::PATH>
                <Hidden name="form[workspace]" value=layout.workspace.to_string()/>
                <Hidden name="form[key]" value=id.get_value()/>
                <fieldset class="scopes">
                    <legend class="visually-hidden">"Scopes to keep"</legend>
                    <div class="scope-group">
                        {live_rows(move || data.with(|view| view.scopes.clone()), |(scope, _)| scope.as_str(), kept)}
                    </div>
                    <GroupError name="scopes"/>
                </fieldset>
                <div class="form-actions"><Submit class="button">"Narrow Scopes"</Submit></div>
            </Form>
        </Card>
    }
}

/// A scope that the key has, to be unchecked.
fn kept(scope: LiveRow<(Scope, Option<Timestamp>)>) -> AnyView {
    let (value, label) = scope.with_untracked(|(scope, _)| (scope.as_str(), scope.label()));
    let used = move || match scope.with(|(_, used)| *used) {
        Some(at) => view! { <p class="hint">"last used "<Time at/></p> }.into_any(),
        None => view! { <p class="hint"><Badge tone="neutral">"never used"</Badge></p> }.into_any(),
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
        <Card title="Requests" text="What was asked with this key in the last 7 days.">
            <p class="muted tabular">{move || data.with(|view| match view.request_count {
                1 => "1 request".to_owned(),
                n => format!("{n} requests"),
            })}</p>
            {move || if none.get() {
                view! { <Empty mark=Icon::Activity title="No requests" text="What this key asks for appears here within some seconds."/> }.into_any()
            } else {
                view! {
                    <div class="table-wrap">
                        <table class="table table-stack">
                            <caption class="visually-hidden">"Requests"</caption>
                            <thead><tr>
                                <th scope="col">"Request"</th><th scope="col">"Status"</th><th scope="col">"Took"</th>
                                <th scope="col">"From"</th><th scope="col">"When"</th>
                            </tr></thead>
                            <tbody>{rows(move || data.with(|view| view.requests.clone()), request_row)}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
            {move || next().map(|href| view! { <p class="pager"><a class="button" href=href>"Next page"</a></p> })}
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
            <td data-label="Took" class="tabular">{took}</td>
            <td data-label="From">{line.address}</td>
            <td data-label="When"><Time at=line.at/></td>
        </tr>
    }
    .into_any()
}

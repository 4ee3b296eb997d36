use domain::api_keys::{Filter, KeyRow, KeysView, Status};
use domain::catalog::Mode;
use domain::{ApiKeyId, Timestamp, Topic};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_location, use_navigate};

use super::api::LoadApiKeys;
use super::create::create;
use super::panels::{Around, actions, finish, last_use, mode_badge, scope_tags, status_badge};
use crate::ui::{
    Badge, Card, Data, Empty, Icon, LiveRow, NewSecret, PageHeader, Time, forget_secret_on_leaving,
    guarded, icon, live_rows, use_asked, use_slug, view,
};

#[component]
pub fn ApiKeysPage() -> impl IntoView {
    let query = use_location().query;
    let slug = use_slug();
    let asked = Query {
        status: use_asked("status"),
        mode: use_asked("mode"),
        search: use_asked("search"),
        before: use_asked("before"),
        new: Memo::new(move |_| query.with(|query| query.get("new").is_some())),
    };
    forget_secret_on_leaving();
    view! {
        <Title text="API Keys"/>
        {guarded(
            move || {
                // After a key was created, the list changed.
                asked.new.track();
                LoadApiKeys {
                    workspace: slug.get(),
                    status: asked.status.get(),
                    mode: asked.mode.get(),
                    search: asked.search.get(),
                    before: asked.before.get(),
                }
            },
            &[Topic::ApiKeys, Topic::Workspace],
            move |data| keys(data, asked),
        )}
    }
}

/// The query parameters of the list.
#[derive(Clone, Copy)]
struct Query {
    status: Memo<String>,
    mode: Memo<String>,
    search: Memo<String>,
    before: Memo<String>,
    /// Whether the form for a new key is open.
    new: Memo<bool>,
}

fn keys(data: Data<KeysView>, asked: Query) -> impl IntoView {
    let list =
        Signal::derive(move || data.with(|view| format!("/w/{}/settings/api-keys", view.slug)));
    view! {
        <PageHeader title="API Keys" lead="Create and manage keys for the Wheelhouse API.">
            <form method="get" action="/api/docs"><button class="button">{icon(Icon::Book)}"API Docs"</button></form>
            {move || (!asked.new.get()).then(|| create_button(list))}
        </PageHeader>
        <NewSecret
            label="API Key"
            text="This key is shown only once. Store it somewhere safe."
            command=Callback::new(move |key: String| data.with_untracked(|view| curl(&view.api, &key)))
        />
        {move || if asked.new.get() { create(data, list) } else { table(data, asked, list) }}
    }
}

/// A button, because it starts an action. It leads to `?new=1` with and without scripts.
fn create_button(list: Signal<String>) -> impl IntoView {
    let navigate = use_navigate();
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        let path = format!("{}?new=1", list.get_untracked());
        navigate(&path, leptos_router::NavigateOptions::default());
    };
    view! {
        <form method="get" action=move || list.get() on:submit=on_submit>
            <button class="button button-primary" name="new" value="1">{icon(Icon::Plus)}"Create API Key"</button>
        </form>
    }
}

/// A first request, ready to paste into a shell.
pub fn curl(api: &str, key: &str) -> String {
    format!("curl {api}/me \\\n  -H \"Authorization: Bearer {key}\"")
}

fn table(data: Data<KeysView>, asked: Query, list: Signal<String>) -> AnyView {
    let nothing = Memo::new(move |_| {
        let sought = !asked.search.get().is_empty() || !asked.mode.get().is_empty();
        data.with(|view| view.keys.is_empty())
            .then(|| sought || data.with(|view| view.counts[0] > 0))
    });
    let layout = Around {
        workspace: data.with_untracked(|view| view.workspace),
        ask: Signal::derive(move || data.with(|view| view.ask_password)),
    };
    view! {
        <Card title="Keys">
            {filters(data, asked, list)}
            {move || match nothing.get() {
                Some(true) => view! { <Empty mark=Icon::Key title="No keys match your search" text="Change the search or choose another tab."/> }.into_any(),
                Some(false) => first_steps(data),
                None => view! {
                    <div class="table-wrap">
                        <table class="table table-stack keys">
                            <caption class="visually-hidden">"Keys"</caption>
                            <thead><tr>
                                <th scope="col">"Name"</th><th scope="col">"Scopes"</th><th scope="col">"Created by"</th>
                                <th scope="col">"Last used"</th><th scope="col">"Status"</th><td></td>
                            </tr></thead>
                            <tbody>{live_rows(
                                move || data.with(|view| view.keys.clone()),
                                |row| row.id.to_string(),
                                move |row| key_row(row, layout, list),
                            )}</tbody>
                        </table>
                    </div>
                }.into_any(),
            }}
            {move || data.with(|view| view.next).map(|next| view! {
                <p class="pager">
                    <a class="button" href=move || address(list, asked, Filter::read(&asked.status.get()), Some(next.to_string()))>"Next Page"</a>
                </p>
            })}
        </Card>
    }
    .into_any()
}

/// The URL of the list with this tab and the current search.
fn address(list: Signal<String>, asked: Query, filter: Filter, before: Option<String>) -> String {
    let parts = [
        ("status", filter.as_str().to_owned()),
        ("mode", asked.mode.get()),
        ("search", asked.search.get()),
        ("before", before.unwrap_or_default()),
    ];
    let wanted: Vec<_> = parts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let query = serde_urlencoded::to_string(wanted).unwrap_or_default();
    format!("{}?{query}", list.get())
}

fn filters(data: Data<KeysView>, asked: Query, list: Signal<String>) -> AnyView {
    let tab = move |(index, filter): (usize, Filter)| {
        let current = move || data.with(|view| view.filter == filter).then_some("page");
        view! {
            <a class="tab" href=move || address(list, asked, filter, None) aria-current=current>
                {filter.label()}<span class="count">{move || data.with(|view| view.counts[index])}</span>
            </a>
        }
    };
    let option = move |value: &'static str, text: &'static str| {
        view! { <option value=value selected=move || asked.mode.get() == value>{text}</option> }
    };
    view! {
        <nav class="tabs" aria-label="Filter by status">{Filter::ALL.into_iter().enumerate().map(tab).collect_view()}</nav>
        <form method="get" class="key-search" role="search" action=move || list.get()>
            <input type="hidden" name="status" value=move || asked.status.get()/>
            <input
                class="input" type="search" name="search" aria-label="Search" placeholder="Search by name"
                value=move || asked.search.get() autocomplete="off"
            />
            <select class="select" name="mode" aria-label="Key type">
                {option("", "All types")}
                {Mode::ALL.map(|mode| option(mode.as_str(), mode.label())).collect_view()}
            </select>
            <button class="button">"Search"</button>
        </form>
    }
    .into_any()
}

fn first_steps(data: Data<KeysView>) -> AnyView {
    let example = data.with_untracked(|view| curl(&view.api, "wh_live_…"));
    view! {
        <Empty mark=Icon::Key title="No API keys yet" text="Create a key to start calling the API:"/>
        <pre class="code">{example}</pre>
    }
    .into_any()
}

fn key_row(row: LiveRow<KeyRow>, layout: Around, list: Signal<String>) -> AnyView {
    let (id, mode, created_at) = row.with_untracked(|row| (row.id, row.mode, row.created_at));
    let hidden = row.with_untracked(KeyRow::hidden);
    let status = Memo::new(move |_| row.with(|row| row.status));
    let name = Memo::new(move |_| row.with(|row| row.name.clone()));
    let scopes = Memo::new(move |_| row.with(|row| row.scopes.clone()));
    let created_by = Memo::new(move |_| row.with(|row| row.created_by.clone()));
    let used = Memo::new(move |_| row.with(|row| row.last_used.clone()));
    let remarked = Memo::new(move |_| row.with(|row| (row.unused, row.idle_scopes)));
    let ends = Memo::new(move |_| row.with(|row| (row.status, row.retires_at, row.expires_at)));
    let edit = move || {
        status.get().works().then(|| {
            view! {
                <a class="icon-button" href=move || format!("{}/{id}#rename", list.get()) aria-label="Rename" title="Rename">
                    {icon(Icon::Pencil)}
                </a>
            }
        })
    };
    let remarks = move || {
        let (unused, idle_scopes) = remarked.get();
        remarks(unused, idle_scopes)
    };
    view! {
        <tr data-status=move || status.get().as_str()>
            <th scope="row" data-label="Name">
                <a href=move || format!("{}/{id}", list.get())>{move || name.get()}</a>" "{mode_badge(mode)}
                <code class="key-hidden">{hidden}</code>
                {remarks}
            </th>
            <td data-label="Scopes">{move || scope_tags(scopes.get())}</td>
            <td data-label="Created by">{move || created_by.get()}<span class="muted small key-from"><Time at=created_at/></span></td>
            <td data-label="Last used">{move || last_use(used.get())}</td>
            <td data-label="Status">{move || status_badge(status.get())}{move || ending(id, ends.get(), layout)}</td>
            <td class="actions">{edit}{move || actions(row, status.get(), layout)}</td>
        </tr>
    }
    .into_any()
}

/// When a key stops working: on its expiry date, or at the end of its rotation, which can be ended now. `ends` holds the
/// status, the end of the rotation and the expiry date.
fn ending(
    key: ApiKeyId,
    ends: (Status, Option<Timestamp>, Option<Timestamp>),
    layout: Around,
) -> AnyView {
    let (status, retires_at, expires_at) = ends;
    let (word, at, ahead) = match status {
        Status::Rotating => ("expires ", retires_at, true),
        Status::Active => ("expires ", expires_at, true),
        Status::Expired => ("", expires_at, false),
        Status::Retired => ("", retires_at, false),
        Status::Revoked => ("", None, false),
    };
    view! {
        {at.map(|at| view! { <span class="muted small key-from">{word}<Time at ahead/></span> })}
        {(status == Status::Rotating).then(|| finish(key, layout))}
    }
    .into_any()
}

/// Badges that help to find unused keys and scopes.
pub fn remarks(unused: bool, idle_scopes: u32) -> AnyView {
    let idle = match idle_scopes {
        0 => None,
        1 => Some("1 scope never used".to_owned()),
        n => Some(format!("{n} scopes never used")),
    };
    view! {
        {unused.then(|| view! { <Badge tone="warning">"Not used for 90 days"</Badge> })}
        {idle.map(|text| view! { <Badge tone="neutral">{text}</Badge> })}
    }
    .into_any()
}

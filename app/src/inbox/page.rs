use domain::catalog::Category;
use domain::inbox::{InboxItem, InboxPage};
use domain::notifications::Switch;
use domain::{Topic, WorkspaceId};
use leptos::prelude::*;
use leptos_meta::Title;
use server_fn::ServerFn;

use super::api::{LoadInbox, MarkAllRead, MarkNotification};
use crate::ui::{
    Badge, Data, Empty, Form, Hidden, Icon, PageHeader, Submit, Time, guarded, icon, rows,
    use_asked, use_slug, view,
};

#[component]
pub fn Inbox() -> impl IntoView {
    let slug = use_slug();
    let (category, before) = (use_asked("type"), use_asked("before"));
    view! {
        <Title text="Inbox"/>
        <PageHeader title="Inbox" lead="Notifications from this workspace."/>
        {guarded(
            move || LoadInbox { workspace: slug.get(), category: category.get(), before: before.get() },
            &[Topic::Inbox],
            move |data| inbox(data, slug, category),
        )}
    }
}

fn inbox(data: Data<InboxPage>, slug: Memo<String>, category: Memo<String>) -> impl IntoView {
    let tab = move |value: &'static str, label: &'static str| {
        let current = move || (category.get() == value).then_some("page");
        let href = if value.is_empty() {
            "?".to_owned()
        } else {
            format!("?type={value}")
        };
        view! { <a class="tab" href=href aria-current=current>{label}</a> }
    };
    let workspace = data.with_untracked(|page| page.workspace);
    let newest = Signal::derive(move || {
        let first = data.with(|page| page.items.first().map(|item| item.id));
        first.map(|id| id.to_string()).unwrap_or_default()
    });
    view! {
        <div class="filters">
            <nav class="tabs" aria-label="Notifications by type">
                {tab("", "All")}
                {Category::ALL.map(|category| tab(category.as_str(), category.label())).collect_view()}
            </nav>
            <div id="mark-all-read">
                <Form action=MarkAllRead::PATH class="inline-form">
                    <Hidden name="workspace" value=workspace.to_string()/>
                    <Hidden name="category" value=Signal::derive(move || category.get())/>
                    <Hidden name="newest" value=newest/>
                    <Submit class="button button-small">"Mark All as Read"</Submit>
                </Form>
            </div>
        </div>
        {move || data.with(|page| page.items.is_empty()).then(|| view! {
            <Empty mark=Icon::Inbox title="You're all caught up" text="New notifications appear here automatically."/>
        })}
        <ul class="inbox">
            {rows(move || data.with(|page| page.items.clone()), move |item| row(item, workspace, slug))}
        </ul>
        {move || data.with(|page| page.next).map(|next| view! {
            <p class="pager">
                <a class="button" href=move || format!("?type={}&before={next}", category.get())>"Older"</a>
            </p>
        })}
    }
}

fn row(item: InboxItem, workspace: WorkspaceId, slug: Memo<String>) -> AnyView {
    let (wanted, label) = if item.read {
        ("false", "Mark as Unread")
    } else {
        ("true", "Mark as Read")
    };
    let category = item.category;
    let switch = Switch::behind(item.event_type).place();
    view! {
        <li class="inbox-item" data-unread=(!item.read).to_string()>
            <div class="inbox-text">
                <p>{(!item.read).then(|| view! { <span class="visually-hidden">"Unread: "</span> })}{item.sentence}</p>
                <p class="inbox-meta">
                    <Badge tone="neutral">{category.label()}</Badge>
                    <Time at=item.at/>
                    <a href=move || format!("/w/{}/settings/notifications#{switch}", slug.get())>"Notification settings"</a>
                </p>
            </div>
            <Form action=MarkNotification::PATH class="inline-form" key=item.id.to_string()>
                <Hidden name="workspace" value=workspace.to_string()/>
                <Hidden name="notification" value=item.id.to_string()/>
                <Hidden name="read" value=wanted.to_owned()/>
                <button class="icon-button" aria-label=label title=label>
                    {icon(if item.read { Icon::Mail } else { Icon::Check })}
                </button>
            </Form>
        </li>
    }
    .into_any()
}

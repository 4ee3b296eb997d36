//! The document, the routes, and what stands around the pages of a workspace.

use leptos::prelude::*;
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::components::{A, Outlet, ParentRoute, Redirect, Route, Router, Routes};
use leptos_router::hooks::{use_location, use_navigate, use_params_map};
use leptos_router::{NavigateOptions, SsrMode, path};
use server_fn::ServerFn;

use crate::assets::Assets;
use crate::commands::commands;
use crate::inbox::page::Inbox;
use crate::live::Topic;
use crate::outbox::OutboxPage;
use crate::overview::OverviewPage;
use crate::session::api::{LoadSurroundings, SignOut};
use crate::session::model::Surroundings;
use crate::session::page::{
    ConfirmEmailPage, ForgotPasswordPage, HomePage, InvitePage, LoginPage, NotFoundPage,
    ResetPasswordPage, SignUpPage,
};
use crate::settings::account::page::AccountPage;
use crate::settings::api_keys::page::{ApiKeyPage, ApiKeysPage};
use crate::settings::members::page::MembersPage;
use crate::settings::notifications::page::{NotificationsPage, UnsubscribePage};
use crate::settings::webhooks::page::{WebhookPage, WebhooksPage};
use crate::settings::workspace::page::{NewWorkspacePage, WorkspacePage};
use crate::settings::{Group, SECTIONS};
use crate::ui::{
    Avatar, CommandPalette, Data, Form, Hidden, Icon, Journey, Said, StatusRegion, Submit,
    WithinMain, connect_live, guarded, icon, provide_clock, provide_flash, provide_live,
    provide_refresh, provide_unsaved_guard, search,
};

/// The document around the application, as the server renders it.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <AutoReload options=options.clone()/>
                <Assets options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// The application: the same on the server and in the browser.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    provide_flash();
    provide_context(Said::new());
    provide_clock();
    provide_live();
    provide_refresh();
    provide_unsaved_guard();
    // Tells whoever waits for it (tests, styles) that the page is alive.
    Effect::new(|| {
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("data-hydrated", "true");
        }
    });
    let mode = SsrMode::Async;
    view! {
        <Title formatter=|title: String| if title.is_empty() { "Wheelhouse".to_owned() } else { format!("{title} · Wheelhouse") }/>
        <a class="skip-link" href="#main" rel="external">"Skip to content"</a>
        <Router>
            <Routes fallback=NotFoundPage>
                <Route path=path!("/") view=HomePage ssr=mode.clone()/>
                <Route path=path!("/login") view=LoginPage ssr=mode.clone()/>
                <Route path=path!("/signup") view=SignUpPage ssr=mode.clone()/>
                <Route path=path!("/forgot-password") view=ForgotPasswordPage ssr=mode.clone()/>
                <Route path=path!("/reset-password/:token") view=ResetPasswordPage ssr=mode.clone()/>
                <Route path=path!("/confirm-email/:token") view=ConfirmEmailPage ssr=mode.clone()/>
                <Route path=path!("/invite/:token") view=InvitePage ssr=mode.clone()/>
                <Route path=path!("/unsubscribe/:token") view=UnsubscribePage ssr=mode.clone()/>
                <Route path=path!("/new") view=NewWorkspacePage ssr=mode.clone()/>
                <Route path=path!("/outbox") view=OutboxPage ssr=mode.clone()/>
                <ParentRoute path=path!("/w/:slug") view=WorkspaceFrame ssr=mode.clone()>
                    <Route path=path!("") view=OverviewPage ssr=mode.clone()/>
                    <Route path=path!("inbox") view=Inbox ssr=mode.clone()/>
                    <Route path=path!("settings/account") view=AccountPage ssr=mode.clone()/>
                    <Route path=path!("settings/notifications") view=NotificationsPage ssr=mode.clone()/>
                    <Route path=path!("settings/workspace") view=WorkspacePage ssr=mode.clone()/>
                    <Route path=path!("settings/members") view=MembersPage ssr=mode.clone()/>
                    <Route path=path!("settings/api-keys") view=ApiKeysPage ssr=mode.clone()/>
                    <Route path=path!("settings/api-keys/:key") view=ApiKeyPage ssr=mode.clone()/>
                    <Route path=path!("settings/webhooks") view=WebhooksPage ssr=mode.clone()/>
                    <Route path=path!("settings/webhooks/:webhook") view=WebhookPage ssr=mode/>
                </ParentRoute>
            </Routes>
            <StatusRegion/>
            <Journey/>
        </Router>
    }
}

/// What stands around every page of a workspace.
#[component]
fn WorkspaceFrame() -> impl IntoView {
    let params = use_params_map();
    let slug = Memo::new(move |_| params.with(|params| params.get("slug").unwrap_or_default()));
    guarded(
        move || LoadSurroundings {
            workspace: slug.get(),
        },
        &[
            Topic::Account,
            Topic::Workspace,
            Topic::Members,
            Topic::Inbox,
        ],
        frame,
    )
}

fn frame(data: Data<Surroundings>) -> impl IntoView {
    let slug = Memo::new(move |_| data.with(|around| around.here.slug.to_string()));
    let workspace = move || data.with(|around| around.here.name.clone());
    let unread = move || data.with(|around| around.unread);
    let location = use_location();
    let commands = Signal::derive(move || data.with(commands));
    follow_address(slug);
    connect_live();
    provide_context(WithinMain);
    view! {
        {moved(slug)}
        <div class="shell">
            <aside id="sidebar" class="sidebar" popover="auto" aria-label="Navigation">
                <button type="button" class="switcher" popovertarget="workspace-menu" aria-label="Switch Workspace">
                    {move || view! { <Avatar name=workspace() square=true/> }}
                    <span class="switcher-name">{workspace}</span>
                    {icon(Icon::ChevronsUpDown)}
                </button>
                <nav class="nav" aria-label="Main">
                    <ul>
                        <li><A href=move || format!("/w/{}", slug.get()) exact=true attr:class="nav-link">{icon(Icon::Home)}"Overview"</A></li>
                        <li>
                            <A href=move || format!("/w/{}/inbox", slug.get()) attr:class="nav-link">
                                {icon(Icon::Inbox)}"Inbox"
                                {move || (unread() > 0).then(|| view! { <span class="count">{unread()}</span> })}
                            </A>
                        </li>
                    </ul>
                    {Group::ALL.map(|group| move || {
                        let sections: Vec<_> = SECTIONS.into_iter()
                            .filter(|section| section.group == group && data.with(|around| section.is_for(around.here.role)))
                            .collect();
                        (!sections.is_empty()).then(|| view! {
                            <h2 class="nav-heading">{group.label()}</h2>
                            <ul>
                                {sections.into_iter()
                                    .map(|section| view! {
                                        <li>
                                            <A href=move || format!("/w/{}/settings/{}", slug.get(), section.path) attr:class="nav-link">
                                                {icon(section.icon)}{section.label}
                                            </A>
                                        </li>
                                    })
                                    .collect_view()}
                            </ul>
                        })
                    }).collect_view()}
                </nav>
                <div id="workspace-menu" class="menu" popover="auto">
                    {move || data.with(|around| around.places.iter().map(|place| {
                        let current = (place.id == around.here.id).then_some("true");
                        view! {
                            <a class="menu-item" href=format!("/w/{}", place.slug) aria-current=current>
                                <Avatar name=place.name.clone() square=true/>
                                <span>{place.name.clone()}</span>
                                <span class="menu-note">{place.role.label()}</span>
                            </a>
                        }
                    }).collect_view())}
                    <hr/>
                    <a class="menu-item" href=move || format!("/w/{}/settings/workspace", slug.get())>{icon(Icon::Settings)}"Workspace settings"</a>
                    <a class="menu-item" href="/new">{icon(Icon::Plus)}"Create workspace"</a>
                </div>
            </aside>
            <div class="shell-main">
                <header class="topbar">
                    <button type="button" class="icon-button nav-toggle" popovertarget="sidebar" aria-label="Menu">{icon(Icon::Menu)}</button>
                    <span class="topbar-space"></span>
                    <CommandPalette commands/>
                    <a class="icon-button bell" href=move || format!("/w/{}/inbox", slug.get())
                        aria-label=move || match unread() { 0 => "Inbox".to_owned(), n => format!("Inbox, {n} unread") }>
                        {icon(Icon::Bell)}
                        {move || (unread() > 0).then(|| view! { <span class="badge-count" aria-hidden="true">{unread().min(99)}</span> })}
                    </a>
                    <button type="button" class="user-button" popovertarget="user-menu" aria-label="Your menu">
                        {move || view! { <Avatar name=data.with(|around| around.name.clone())/> }}
                    </button>
                    <div id="user-menu" class="menu menu-end" popover="auto">
                        <p class="menu-head">
                            <strong>{move || data.with(|around| around.name.clone())}</strong>
                            <span class="muted small">{move || data.with(|around| around.email.to_string())}</span>
                        </p>
                        <a class="menu-item" href=move || format!("/w/{}/settings/account", slug.get())>{icon(Icon::User)}"Your account"</a>
                        {data.with_untracked(|around| around.demo).then(|| view! {
                            <a class="menu-item" href="/outbox">{icon(Icon::Mail)}"Outbox of the demo"</a>
                        })}
                        <hr/>
                        <Form action=SignOut::PATH class="inline-form" reload=true>
                            <Hidden name="next" value="/login".to_owned()/>
                            <Submit class="menu-item">{icon(Icon::LogOut)}"Sign Out"</Submit>
                        </Form>
                    </div>
                </header>
                <main id="main" class="page" tabindex="-1" data-path=move || location.pathname.get()>
                    <Outlet/>
                </main>
            </div>
        </div>
    }
}

/// The same page at the workspace's present address, if it was asked for at an earlier one.
fn at_present_address(slug: &str) -> Option<String> {
    let location = use_location();
    let path = location.pathname.get();
    let asked = path.strip_prefix("/w/")?.split('/').next()?;
    (asked != slug).then(|| {
        format!(
            "/w/{slug}{}{}",
            &path["/w/".len() + asked.len()..],
            search(&location.search.get())
        )
    })
}

/// On the server an earlier address is answered by a redirect to the present one.
fn moved(slug: Memo<String>) -> impl IntoView {
    untrack(|| at_present_address(&slug.get())).map(|path| view! { <Redirect path/> })
}

/// In the browser the address follows when the workspace moves while its pages are open.
fn follow_address(slug: Memo<String>) {
    let navigate = use_navigate();
    Effect::new(move |before: Option<String>| {
        let now = slug.get();
        if before.is_some_and(|before| before != now)
            && let Some(path) = untrack(|| at_present_address(&now))
        {
            navigate(
                &path,
                NavigateOptions {
                    replace: true,
                    ..NavigateOptions::default()
                },
            );
        }
        now
    });
}

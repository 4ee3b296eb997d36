//! The document, the routes, and the layout around a workspace's pages.

use domain::session::LayoutData;
use domain::{Permission, Topic};
use leptos::context::Provider;
use leptos::prelude::*;
use leptos_meta::{HashedStylesheet, MetaTags, Title, provide_meta_context};
use leptos_router::components::{FlatRoutes, Route, Router};
use leptos_router::hooks::{use_location, use_navigate};
use leptos_router::{NavigateOptions, path};
use server_fn::ServerFn;

use crate::commands::palette;
use crate::pages::MatchedRoute;
use crate::session::api::{LoadSurroundings, SignOut};
use crate::session::notice::ConfirmFirst;
use crate::session::page::NotFoundPage;
use crate::settings::{Group, SECTIONS};
use crate::ui::{
    Avatar, CommandPalette, Data, Form, Hidden, Icon, NavigationEffects, StaleSignIn,
    StatusMessages, StatusRegion, Submit, WithinMain, connect_live, guarded, icon, provide_clock,
    provide_dialogs, provide_flash, provide_live, provide_refresh, provide_unsaved_guard, redirect,
    search, use_clock, use_slug, view,
};

/// The HTML document, as the server renders it.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <HashedStylesheet options=options.clone() id="style"/>
                <AutoReload options=options.clone()/>
                <HydrationScripts options/>
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
    provide_context(StatusMessages::new());
    provide_clock();
    provide_live();
    provide_refresh();
    provide_unsaved_guard();
    provide_dialogs();
    // Tells tests and styles that the page is interactive.
    Effect::new(|| {
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("data-hydrated", "true");
        }
    });
    view! {
        <Title formatter=|title: String| if title.is_empty() { "Wheelhouse".to_owned() } else { format!("{title} · Wheelhouse") }/>
        <a class="skip-link" href="#main" rel="external">"Skip to content"</a>
        <Router>
            <FlatRoutes fallback=NotFoundPage>
                <Route path=path!("/*path") view=WorkspaceLayout/>
            </FlatRoutes>
            <StatusRegion/>
            <NavigationEffects/>
        </Router>
    }
}

/// The page of a URL and, around a workspace's pages, their layout, which stays from one to the next.
#[component]
fn WorkspaceLayout() -> impl IntoView {
    let path = use_location().pathname;
    let shown = Memo::new(move |_| path.with(|path| MatchedRoute::at(path)));
    // The only thing that the view below reads. A view that reads a memo, and before it another memo derived from the
    // first, is not redrawn when the first changes and the second does not: reading the second updates the first
    // unnoticed. That happens between two pages outside a workspace.
    let outside =
        Memo::new(move |_| shown.with(|shown| (!shown.is_in_workspace()).then(|| shown.clone())));
    move || match outside.get() {
        None => WorkspaceFrame(WorkspaceFrameProps { shown }).into_any(),
        Some(page) => page.view(),
    }
}

/// The layout around every page of a workspace.
#[component]
fn WorkspaceFrame(shown: Memo<MatchedRoute>) -> impl IntoView {
    let slug = use_slug();
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
        move |data| frame(data, shown),
    )
}

/// The close button of the navigation on a narrow screen.
fn close_menu() -> AnyView {
    view! {
        <button
            type="button" class="icon-button nav-close" aria-label="Close Menu"
            popovertarget="sidebar" popovertargetaction="hide"
        >
            {icon(Icon::X)}
        </button>
    }
    .into_any()
}

/// Tells the forms inside when the sign-in has become too old for sensitive changes.
fn provide_stale_sign_in(data: Data<LayoutData>) {
    let clock = use_clock();
    let fresh_until = Memo::new(move |_| data.with(|layout| layout.fresh_until));
    provide_context(StaleSignIn(Signal::derive(move || {
        clock.get() >= fresh_until.get()
    })));
}

fn frame(data: Data<LayoutData>, shown: Memo<MatchedRoute>) -> impl IntoView {
    let slug = Memo::new(move |_| data.with(|layout| layout.here.slug.to_string()));
    let workspace = move || data.with(|layout| layout.here.name.clone());
    let unread = move || data.with(|layout| layout.unread);
    let confirmed = Memo::new(move |_| data.with(|layout| layout.confirmed));
    let location = use_location();
    let unread_count =
        move || (unread() > 0).then(|| view! { <span class="count">{unread()}</span> });
    follow_address(slug);
    connect_live();
    provide_stale_sign_in(data);
    view! {
        {moved(slug)}
        <div class="shell">
            <aside id="sidebar" class="sidebar" popover="auto" aria-label="Navigation">
                {close_menu()}
                <button type="button" class="switcher" popovertarget="workspace-menu" aria-label="Switch Workspace">
                    {move || view! { <Avatar name=workspace() square=true/> }}
                    <span class="switcher-name">{workspace}</span>
                    {icon(Icon::ChevronsUpDown)}
                </button>
                <nav class="nav" aria-label="Main">
                    <ul>
                        <li>{nav_link(slug, String::new(), Icon::Home, "Overview", ().into_any())}</li>
                        <li>{nav_link(slug, "/inbox".to_owned(), Icon::Inbox, "Inbox", unread_count.into_any())}</li>
                    </ul>
                    {Group::ALL.map(|group| move || {
                        let sections: Vec<_> = SECTIONS.into_iter()
                            .filter(|section| section.group == group && data.with(|layout| section.is_for(layout.here.role)))
                            .collect();
                        (!sections.is_empty()).then(|| view! {
                            <h2 class="nav-heading">{group.label()}</h2>
                            <ul>
                                {sections.into_iter()
                                    .map(|section| view! {
                                        <li>{nav_link(slug, format!("/settings/{}", section.path), section.icon, section.label, ().into_any())}</li>
                                    })
                                    .collect_view()}
                            </ul>
                        })
                    }).collect_view()}
                </nav>
                <div id="workspace-menu" class="menu" popover="auto">
                    {move || data.with(|layout| layout.places.iter().map(|place| {
                        let current = (place.id == layout.here.id).then_some("true");
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
                    <CommandPalette dialog=move |asked| palette(data, asked)/>
                    <a class="icon-button bell" href=move || format!("/w/{}/inbox", slug.get())
                        aria-label=move || match unread() { 0 => "Inbox".to_owned(), n => format!("Inbox, {n} unread") }>
                        {icon(Icon::Bell)}
                        {move || (unread() > 0).then(|| view! { <span class="badge-count" aria-hidden="true">{unread().min(99)}</span> })}
                    </a>
                    <button type="button" class="user-button" popovertarget="user-menu" aria-label="Account menu">
                        {move || view! { <Avatar name=data.with(|layout| layout.name.clone())/> }}
                    </button>
                    <div id="user-menu" class="menu menu-end" popover="auto">
                        <p class="menu-head">
                            <strong>{move || data.with(|layout| layout.name.clone())}</strong>
                            <span class="muted small">{move || data.with(|layout| layout.email.to_string())}</span>
                        </p>
                        <a class="menu-item" href=move || format!("/w/{}/settings/account", slug.get())>{icon(Icon::User)}"Account settings"</a>
                        {data.with_untracked(|layout| layout.demo).then(|| view! {
                            <a class="menu-item" href="/outbox">{icon(Icon::Mail)}"Demo Outbox"</a>
                        })}
                        <hr/>
                        <Form action=SignOut::PATH class="inline-form" reload=true>
                            <Hidden name="next" value="/login".to_owned()/>
                            <Submit class="menu-item">{icon(Icon::LogOut)}"Sign Out"</Submit>
                        </Form>
                    </div>
                </header>
                {move || data.with(frozen)}
                {move || (!confirmed.get()).then(|| view! { <ConfirmFirst/> })}
                <main id="main" class="page" tabindex="-1" data-path=move || location.pathname.get()>
                    // Not the page that is opened when leaving the workspace.
                    <Provider value=WithinMain>
                        {move || shown.with(|shown| shown.is_in_workspace().then(|| shown.view()))}
                    </Provider>
                </main>
            </div>
        </div>
    }
}

/// The banner on every page of a frozen workspace: what still works, and who can unfreeze it.
fn frozen(layout: &LayoutData) -> Option<AnyView> {
    let billing = format!("/w/{}/settings/billing", layout.here.slug);
    let way = if layout.here.role.may(Permission::ManageBilling) {
        view! { "you "<a href=billing>"choose a plan"</a>"." }.into_any()
    } else {
        view! { "an owner or admin chooses a plan." }.into_any()
    };
    layout.frozen.then(|| {
        view! {
            <section class="banner callout" data-tone="warning" aria-label="Frozen">
                {icon(Icon::Warning)}
                <p>
                    <strong>"This workspace is frozen."</strong>
                    " Your data is safe and you can still view everything, but you can't make changes until "
                    {way}
                </p>
            </section>
        }
        .into_any()
    })
}

/// A navigation link to a page of the workspace, such as `/inbox`. It is marked on that page and on pages below it; the
/// overview, at "", has none below.
fn nav_link(
    slug: Memo<String>,
    place: String,
    mark: Icon,
    label: &'static str,
    rest: AnyView,
) -> AnyView {
    let path = use_location().pathname;
    let overview = place.is_empty();
    let href = Memo::new(move |_| format!("/w/{}{place}", slug.get()));
    let current = move || {
        path.with(|path| {
            let below = href.with(|href| path.strip_prefix(href.as_str()).map(str::to_owned))?;
            let below = below.trim_end_matches('/');
            (below.is_empty() || !overview && below.starts_with('/')).then_some("page")
        })
    };
    view! { <a href=href class="nav-link" aria-current=current>{icon(mark)}{label}{rest}</a> }
}

/// The same page under the workspace's current slug, if it was requested under an earlier one.
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

/// On the server, an earlier slug redirects to the current one.
fn moved(slug: Memo<String>) -> impl IntoView {
    untrack(|| at_present_address(&slug.get())).map(redirect)
}

/// In the browser, the URL follows when the slug changes while the workspace's pages are open.
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

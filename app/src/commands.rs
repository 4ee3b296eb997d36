//! The command palette's entries: every page and every action that the role allows.

#![expect(
    clippy::unnecessary_wraps,
    reason = "what `wasm_split` writes fails where a file cannot be fetched, and only in the browser"
)]

use domain::Permission;
use domain::session::LayoutData;
use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

use crate::settings::SECTIONS;
use crate::ui::{Command, Data, PaletteDialog, PaletteQuery, Target, now, percent_encode, view};

/// Actions with a section of their own on a settings page: label, page and section, and the required permission.
const PLACES: [(&str, &str, Option<Permission>); 13] = [
    (
        "Invite a new member",
        "members#invite-a-new-member",
        Some(Permission::InviteMembers),
    ),
    ("Change your password", "account#change-password", None),
    (
        "Rename workspace",
        "workspace#name",
        Some(Permission::EditWorkspace),
    ),
    (
        "Change workspace URL",
        "workspace#url",
        Some(Permission::EditWorkspace),
    ),
    ("Leave workspace", "workspace#leave-workspace", None),
    (
        "Transfer ownership",
        "workspace#transfer-ownership",
        Some(Permission::OwnWorkspace),
    ),
    (
        "Delete workspace",
        "workspace#delete-workspace",
        Some(Permission::OwnWorkspace),
    ),
    (
        "Change plan",
        "billing#plans",
        Some(Permission::ManageBilling),
    ),
    (
        "View invoices",
        "billing#invoices",
        Some(Permission::ManageBilling),
    ),
    (
        "Change billing details",
        "billing#billing-details",
        Some(Permission::ManageBilling),
    ),
    (
        "Buy credits",
        "credits#credit-packages",
        Some(Permission::ManageBilling),
    ),
    (
        "Create an API key",
        "api-keys?new=1",
        Some(Permission::ManageApiKeys),
    ),
    (
        "View credit costs",
        "credits#credit-cost-by-feature",
        Some(Permission::SeeCredits),
    ),
];

/// The palette's dialog, in a separate file.
#[wasm_split(palette, wasm_split_path = leptos::wasm_split, fallible)]
fn open(layout: Data<LayoutData>, asked: PaletteQuery) -> Result<AnyView, SplitLoaderError> {
    let commands = Signal::derive(move || layout.with(commands));
    Ok(view! { <PaletteDialog commands asked/> })
}

/// Fetches the palette's dialog; if that fails there is none, and nobody waits for it.
pub async fn palette(layout: Data<LayoutData>, asked: PaletteQuery) -> AnyView {
    open(layout, asked).await.unwrap_or_else(|_| {
        asked.set(None);
        ().into_any()
    })
}

fn commands(layout: &LayoutData) -> Vec<Command> {
    let base = format!("/w/{}", layout.here.slug);
    let role = layout.here.role;
    let may = |permission: Option<Permission>| permission.is_none_or(|it| role.may(it));
    let mut commands = vec![
        page("Overview", "Page", base.clone()),
        page("Inbox", "Page", format!("{base}/inbox")),
    ];
    for section in SECTIONS.iter().filter(|section| section.is_for(role)) {
        let path = format!("{base}/settings/{}", section.path);
        commands.push(page(section.label, "Settings", path));
    }
    if layout.demo {
        commands.push(page("Outbox", "Demo", "/outbox".to_owned()));
    }
    for (label, place, permission) in PLACES {
        if may(permission) {
            commands.push(page(label, "Action", format!("{base}/settings/{place}")));
        }
    }
    commands.push(page(
        "Mark all notifications as read",
        "Action",
        format!("{base}/inbox#mark-all-read"),
    ));
    if role.may(Permission::SeeMemberEmails) {
        let target = file(layout, format!("{base}/members.csv"));
        commands.push(command("Export members as CSV", "Action", target));
    }
    if role.may(Permission::SeeCredits) {
        let target = file(layout, format!("{base}/credits.csv"));
        commands.push(command("Export credits as CSV", "Action", target));
    }
    commands.push(page("Create workspace", "Action", "/new".to_owned()));
    commands.push(command(
        "Sign Out",
        "Action",
        Target::Button("#user-menu form button"),
    ));
    // After "Sign Out": people who type that and press Enter mean this session.
    commands.push(page(
        "Sign out other sessions",
        "Action",
        format!("{base}/settings/account#active-sessions"),
    ));
    for place in layout
        .places
        .iter()
        .filter(|place| place.id != layout.here.id)
    {
        let path = format!("/w/{}", place.slug);
        commands.push(page(&place.name, "Switch workspace", path));
    }
    commands
}

fn page(label: &str, hint: &'static str, path: String) -> Command {
    command(label, hint, Target::Page(path))
}

/// A file. If the sign-in is too old for it, the page that asks for the password and continues to the file.
fn file(layout: &LayoutData, path: String) -> Target {
    if now() < layout.fresh_until {
        Target::File(path)
    } else {
        Target::Page(format!("/confirm-password?next={}", percent_encode(&path)))
    }
}

fn command(label: &str, hint: &'static str, target: Target) -> Command {
    Command {
        label: label.to_owned(),
        hint,
        target,
    }
}

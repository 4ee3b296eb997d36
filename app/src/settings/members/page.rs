use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};
use server_fn::ServerFn;

use super::api::{
    CancelInvitation, ChangeRole, InviteMembers, LoadMembers, RemoveMember, ResendInvitation,
};
use super::model::{InvitationRow, MemberRow, MembersView, Status};
use crate::domain::{Role, WorkspaceId};
use crate::live::Topic;
use crate::ui::{
    Avatar, Badge, Card, CopyLink, Data, Empty, Form, Hidden, Icon, PageHeader, Select, Submit,
    TextArea, Time, guarded, icon, popover_id, rows,
};

#[component]
pub fn MembersPage() -> impl IntoView {
    let params = use_params_map();
    let query = use_query_map();
    let slug = Memo::new(move |_| params.with(|params| params.get("slug").unwrap_or_default()));
    let asked = move |name: &'static str| {
        Memo::new(move |_| query.with(|query| query.get(name).unwrap_or_default()))
    };
    let (status, search, after) = (asked("status"), asked("search"), asked("after"));
    view! {
        <Title text="Members"/>
        <PageHeader title="Members" lead="Who is in this workspace, and who is asked to be."/>
        {guarded(
            move || LoadMembers { workspace: slug.get(), status: status.get(), search: search.get(), after: after.get() },
            &[Topic::Members, Topic::Workspace],
            move |data| members(data, slug, search),
        )}
    }
}

fn members(data: Data<MembersView>, slug: Memo<String>, search: Memo<String>) -> impl IntoView {
    let (may_invite, workspace, viewer) =
        data.with_untracked(|view| (view.may_invite, view.workspace, view.role));
    let nobody = Memo::new(move |_| data.with(|view| view.members.is_empty()));
    view! {
        {may_invite.then(|| view! { {invite(data)} {invitations(data)} })}
        <Card title="Member List">
            <div class="filters">
                <form method="get" class="search" role="search">
                    <input
                        class="input" type="search" name="search" aria-label="Search members" placeholder="Search members"
                        value=move || search.get() autocomplete="off"
                    />
                    <button class="button">"Search"</button>
                </form>
                <p class="muted tabular">{move || data.with(|view| match view.member_count {
                    1 => "1 member".to_owned(),
                    n => format!("{n} members"),
                })}</p>
                {data.with_untracked(|view| view.role <= Role::Member).then(|| view! {
                    <a class="button" href=move || format!("/w/{}/members.csv", slug.get()) download rel="external">
                        {icon(Icon::Download)}"Export CSV"
                    </a>
                })}
            </div>
            {move || if nobody.get() {
                view! { <Empty mark=Icon::Users title="Nobody found" text="No member's name or address holds this."/> }.into_any()
            } else {
                view! {
                    <div class="table-wrap">
                        <table class="table table-stack">
                            <caption class="visually-hidden">"Members"</caption>
                            <thead><tr>
                                <th scope="col">"Name"</th><th scope="col">"Role"</th><th scope="col">"Joined"</th>
                                <th scope="col">"Last active"</th><td></td>
                            </tr></thead>
                            <tbody>{rows(
                                move || data.with(|view| view.members.clone()),
                                move |row| member_row(row, workspace, viewer),
                            )}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
            {move || data.with(|view| view.next).map(|next| view! {
                <p class="pager"><a class="button" href=move || format!("?search={}&after={next}", search.get())>"Next page"</a></p>
            })}
        </Card>
    }
}

fn invite(data: Data<MembersView>) -> impl IntoView {
    let workspace = data.with_untracked(|view| view.workspace.to_string());
    let options = Role::INVITABLE
        .map(|role| (role.to_string(), role.label().to_owned()))
        .to_vec();
    let descriptions = view! {
        <dl class="role-list">
            {Role::INVITABLE.map(|role| view! { <div><dt>{role.label()}</dt><dd>{role.description()}</dd></div> }).collect_view()}
        </dl>
    }.into_any();
    view! {
        <Card title="Invite a New Member" text="The invitation goes out by mail, and its link can be copied below.">
            <Form action=InviteMembers::PATH clear=true guard=true>
                <Hidden name="form[workspace]" value=workspace/>
                <div class="field-row">
                    <TextArea name="email" label="Email Address" hint="One, or several as you paste them" autocomplete="off"/>
                    <Select name="role" label="Role" options=options selected="member"/>
                </div>
                {descriptions}
                <div class="form-actions"><Submit>"Send Invitation"</Submit></div>
            </Form>
        </Card>
    }
}

fn invitations(data: Data<MembersView>) -> impl IntoView {
    let workspace = data.with_untracked(|view| view.workspace);
    let shown = Memo::new(move |_| data.with(|view| (view.status, view.invitations.is_empty())));
    let tab = move |status: Status| {
        let count = move || {
            data.with(|view| {
                Status::ALL
                    .iter()
                    .zip(view.counts)
                    .find(|(other, _)| **other == status)
                    .map_or(0, |(_, count)| count)
            })
        };
        let current = move || data.with(|view| view.status == status).then_some("page");
        view! {
            <a class="tab" href=format!("?status={}", status.as_str()) aria-current=current>
                {status.label()}<span class="count">{count}</span>
            </a>
        }
    };
    view! {
        <Card title="Pending Invitations">
            <nav class="tabs" aria-label="Invitations by status">{Status::ALL.map(tab).collect_view()}</nav>
            {move || {
                let (status, empty) = shown.get();
                if empty {
                    let (title, text) = match status {
                        Status::Pending => ("No pending invitations", "Invite someone above: the link appears here."),
                        Status::Expired => ("No expired invitations", "Invitations expire after 7 days. Resend brings one back."),
                        Status::Accepted => ("No accepted invitations", "Who accepts is a member from then on."),
                    };
                    return view! { <Empty mark=Icon::Mail title text/> }.into_any();
                }
                let when = match status {
                    Status::Pending => "Expires",
                    Status::Expired => "Expired",
                    Status::Accepted => "Accepted",
                };
                view! {
                    <div class="table-wrap">
                        <table class="table table-stack">
                            <caption class="visually-hidden">"Invitations"</caption>
                            <thead><tr>
                                <th scope="col">"Email"</th><th scope="col">"Role"</th><th scope="col">"Invited by"</th>
                                <th scope="col">{when}</th><td></td>
                            </tr></thead>
                            <tbody>{rows(
                                move || data.with(|view| view.invitations.clone()),
                                move |row| invitation_row(row, status, workspace),
                            )}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
    }
}

fn invitation_row(row: InvitationRow, status: Status, workspace: WorkspaceId) -> AnyView {
    let id = row.id;
    let actions = row.link.map(|link| view! {
        <CopyLink link key=id.to_string() about=row.email.clone()/>
        <Form action=ResendInvitation::PATH class="inline-form" key=id.to_string()>
            <Hidden name="workspace" value=workspace.to_string()/>
            <Hidden name="invitation" value=id.to_string()/>
            <button class="icon-button" aria-label="Resend" title="Resend">{icon(Icon::RotateCw)}</button>
        </Form>
        <Form action=CancelInvitation::PATH class="inline-form" key=id.to_string()>
            <Hidden name="workspace" value=workspace.to_string()/>
            <Hidden name="invitation" value=id.to_string()/>
            <button class="icon-button" aria-label="Cancel" title="Cancel">{icon(Icon::X)}</button>
        </Form>
    });
    view! {
        <tr data-status=status.as_str()>
            <th scope="row" data-label="Email">{row.email}</th>
            <td data-label="Role"><Badge tone="neutral">{row.role.label()}</Badge></td>
            <td data-label="Invited by">{row.invited_by}</td>
            <td data-label="When"><Time at=row.at/></td>
            <td class="actions">{actions}</td>
        </tr>
    }
    .into_any()
}

fn member_row(row: MemberRow, workspace: WorkspaceId, viewer: Role) -> AnyView {
    let owner = row.role.is_owner().then(|| view! {
        <span class="crown" role="img" aria-label="Owner" title="Owner">{icon(Icon::Crown)}</span>
    });
    let name = row.name.clone();
    let actions = row
        .may_administer
        .then(|| administer(row.clone(), workspace, viewer));
    view! {
        <tr>
            <th scope="row" data-label="Name">
                <span class="person">
                    <Avatar name=name.clone()/>
                    <span>
                        <span class="person-name">{name}{owner}{row.is_self.then_some(" (you)")}</span>
                        {row.email.clone().map(|email| view! { <span class="muted small">{email}</span> })}
                    </span>
                </span>
            </th>
            <td data-label="Role"><Badge tone=if row.role <= Role::Admin { "accent" } else { "neutral" }>{row.role.label()}</Badge></td>
            <td data-label="Joined"><Time at=row.joined_at/></td>
            <td data-label="Last active">{match row.last_active_at {
                Some(at) => view! { <Time at/> }.into_any(),
                None => "—".into_any(),
            }}</td>
            <td class="actions">{actions}</td>
        </tr>
    }
    .into_any()
}

/// The two icon buttons of a row, each with the panel it opens. A popover opens without script too.
fn administer(row: MemberRow, workspace: WorkspaceId, viewer: Role) -> impl IntoView {
    let id = row.id;
    let (role_panel, remove_panel) = (
        popover_id("role", &id.to_string()),
        popover_id("remove", &id.to_string()),
    );
    let (role_target, remove_target) = (role_panel.clone(), remove_panel.clone());
    let options: Vec<(String, String)> = Role::ALL
        .into_iter()
        .filter(|role| viewer.may_grant(*role))
        .map(|role| {
            (
                role.to_string(),
                format!("{} — {}", role.label(), role.description()),
            )
        })
        .collect();
    let stops = match row.open_invitations {
        0 => String::new(),
        1 => " One open invitation of theirs stops working.".to_owned(),
        n => format!(" {n} open invitations of theirs stop working."),
    };
    let keys = (!row.keys_made.is_empty()).then(|| {
        let made = row.keys_made.join(", ");
        view! { <p class="dialog-text">"API keys that they made go on working: "<strong>{made}</strong></p> }
    });
    let name = row.name.clone();
    view! {
        <button type="button" class="icon-button" popovertarget=role_target aria-label="Change Role" title="Change Role">
            {icon(Icon::UserCog)}
        </button>
        <div class="dialog" popover="auto" id=role_panel role="dialog" aria-label=format!("Change the role of {name}")>
            <h3 class="dialog-title">{format!("Change the role of {name}")}</h3>
            <Form action=ChangeRole::PATH key=id.to_string()>
                <Hidden name="form[workspace]" value=workspace.to_string()/>
                <Hidden name="form[member]" value=id.to_string()/>
                <Select name="role" label="New role" options=options selected=row.role.to_string()/>
                <div class="dialog-actions"><Submit>"Save role"</Submit></div>
            </Form>
        </div>
        <button type="button" class="icon-button" popovertarget=remove_target aria-label="Remove" title="Remove">
            {icon(Icon::UserMinus)}
        </button>
        <div class="dialog" popover="auto" id=remove_panel role="dialog" aria-label=format!("Remove {name}")>
            <h3 class="dialog-title">{format!("Remove {name}?")}</h3>
            <p class="dialog-text">
                {format!("{name} loses access at once, in every open window. What they made stays.{stops}")}
            </p>
            {keys}
            <Form action=RemoveMember::PATH key=id.to_string()>
                <Hidden name="workspace" value=workspace.to_string()/>
                <Hidden name="member" value=id.to_string()/>
                <div class="dialog-actions"><Submit class="button button-danger">"Remove member"</Submit></div>
            </Form>
        </div>
    }
}

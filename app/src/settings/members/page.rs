use domain::members::{InvitationRow, MemberRow, MembersView, Status};
use domain::{Role, Topic, WorkspaceId};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_location;
use server_fn::ServerFn;

use super::api::{
    CancelInvitation, ChangeRole, InviteMembers, LoadMembers, RemoveMember, ResendInvitation,
};
use crate::ui::{
    Avatar, Badge, CancelDialog, Card, CopyLink, CurrentPassword, Data, Dialog, Empty, Form,
    Hidden, Icon, LiveRow, OpenDialog, PageHeader, Select, Submit, TextArea, Time, dialog_id,
    guarded, icon, live_rows, percent_encode, use_asked, use_slug, use_stale_sign_in, view,
    was_refused,
};

#[component]
pub fn MembersPage() -> impl IntoView {
    let slug = use_slug();
    let (status, search) = (use_asked("status"), use_asked("search"));
    let (after, before) = (use_asked("after"), use_asked("before"));
    view! {
        <Title text="Members"/>
        <PageHeader title="Members" lead="Manage who has access to this workspace."/>
        {guarded(
            move || LoadMembers {
                workspace: slug.get(), status: status.get(), search: search.get(), after: after.get(), before: before.get(),
            },
            &[Topic::Members, Topic::Workspace],
            move |data| members(data, slug, RouteQuery { status, search }),
        )}
    }
}

/// The query parameters of the page.
#[derive(Clone, Copy)]
struct RouteQuery {
    status: Memo<String>,
    search: Memo<String>,
}

impl RouteQuery {
    /// The page's address with another status or page of a list, the rest as it is. `from`: the parameter that pages a
    /// list, and where its page begins.
    fn address(self, status: &str, from: (&str, &str)) -> String {
        let search = self.search.get();
        let parts = [("status", status), ("search", search.as_str()), from]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", percent_encode(value)))
            .collect::<Vec<_>>();
        format!("?{}", parts.join("&"))
    }
}

fn members(data: Data<MembersView>, slug: Memo<String>, asked: RouteQuery) -> impl IntoView {
    let RouteQuery { status, search } = asked;
    let workspace = data.with_untracked(|view| view.workspace);
    // A role can change while the page is open: with it what one may do here.
    let may_invite = Memo::new(move |_| data.with(|view| view.may_invite));
    let may_export = Memo::new(move |_| data.with(|view| view.may_export));
    let nobody = Memo::new(move |_| data.with(|view| view.members.is_empty()));
    let stale = use_stale_sign_in();
    view! {
        {move || may_invite.get().then(|| view! { {invite(data)} {invitations(data, asked)} })}
        <Card title="Member List">
            <div class="filters">
                <form method="get" class="search" role="search">
                    {move || Some(status.get()).filter(|status| !status.is_empty()).map(|status| view! {
                        <input type="hidden" name="status" value=status/>
                    })}
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
                {move || may_export.get().then(|| view! {
                    <a class="button" href=move || format!("/w/{}/members.csv", slug.get()) download=move || (!stale.get()).then_some("") rel="external">
                        {icon(Icon::Download)}"Export CSV"
                    </a>
                })}
            </div>
            {move || if nobody.get() {
                view! { <Empty mark=Icon::Users title="No members found" text="No name or email matches your search."/> }.into_any()
            } else {
                view! {
                    <div class="table-wrap">
                        <table class="table table-stack">
                            <caption class="visually-hidden">"Members"</caption>
                            <thead><tr>
                                <th scope="col">"Name"</th><th scope="col">"Role"</th><th scope="col">"Joined"</th>
                                <th scope="col">"Last active"</th><td></td>
                            </tr></thead>
                            <tbody>{live_rows(
                                move || data.with(|view| view.members.clone()),
                                |row| row.id.to_string(),
                                move |row| member_row(row, workspace),
                            )}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
            {move || data.with(|view| view.next).map(|next| view! {
                <p class="pager"><a class="button" href=move || asked.address(&status.get(), ("after", &next.to_string()))>"Next"</a></p>
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
    let text = if data.with_untracked(|view| view.sends_mail) {
        "We'll email an invitation. You can also copy the link below."
    } else {
        "Email isn't set up on this server. After inviting, copy the link below and share it yourself."
    };
    view! {
        <Card title="Invite a New Member" text=text>
            <Form action=InviteMembers::PATH clear=true guard=true>
                <Hidden name="form[workspace]" value=workspace/>
                <div class="field-row">
                    <TextArea name="email" label="Email Address" hint="Separate multiple addresses with commas or new lines" autocomplete="off" each=true/>
                    <Select name="role" label="Role" options=options selected="member"/>
                </div>
                {descriptions}
                <CurrentPassword ask=use_stale_sign_in() hint="For your security, confirm your password to invite an admin"/>
                <div class="form-actions"><Submit>"Send Invitation"</Submit></div>
            </Form>
        </Card>
    }
}

fn invitations(data: Data<MembersView>, asked: RouteQuery) -> impl IntoView {
    let workspace = data.with_untracked(|view| view.workspace);
    let nobody = Memo::new(move |_| data.with(|view| view.invitations.is_empty()));
    // An invitation that is pending expires; the others did, or were accepted.
    let pending = Memo::new(move |_| data.with(|view| view.status == Status::Pending));
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
        // The name of a tab is its label alone; how many there are describes it.
        let count_id = format!("count-{}", status.as_str());
        let described_by = count_id.clone();
        view! {
            <a
                class="tab" href=move || asked.address(status.as_str(), ("", "")) aria-current=current
                aria-describedby=described_by
            >
                {status.label()}<span class="count" id=count_id aria-hidden="true">{count}</span>
            </a>
        }
    };
    view! {
        <Card title="Pending Invitations">
            <nav class="tabs" aria-label="Invitations by status">{Status::ALL.map(tab).collect_view()}</nav>
            {move || {
                if nobody.get() {
                    let (title, text) = match data.with(|view| view.status) {
                        Status::Pending => ("No pending invitations", "Invite someone to see their invitation here."),
                        Status::Expired => ("No expired invitations", "To renew an expired invitation, resend it."),
                        Status::Accepted => ("No accepted invitations", "Invitations appear here once someone accepts them."),
                    };
                    return view! { <Empty mark=Icon::Mail title text/> }.into_any();
                }
                let when = move || match data.with(|view| view.status) {
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
                            <tbody>{live_rows(
                                move || data.with(|view| view.invitations.clone()),
                                |row| row.id.to_string(),
                                move |row| invitation_row(row, pending, workspace),
                            )}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
            {move || data.with(|view| view.invitations_next).map(|next| view! {
                <p class="pager">
                    <a class="button" href=move || asked.address(&asked.status.get(), ("before", &next.to_string()))>"Next"</a>
                </p>
            })}
        </Card>
    }
}

fn invitation_row(
    row: LiveRow<InvitationRow>,
    pending: Memo<bool>,
    workspace: WorkspaceId,
) -> AnyView {
    let (id, email) = row.with_untracked(|row| (row.id, row.email.clone()));
    let is_open = Memo::new(move |_| row.with(|row| row.link.is_some()));
    let link = Signal::derive(move || row.with(|row| row.link.clone().unwrap_or_default()));
    let locked = Memo::new(move |_| row.with(|row| row.locked));
    let about = email.clone();
    let here = use_location().pathname;
    let copy = move || {
        if locked.get() {
            let next = percent_encode(&here.get_untracked());
            view! { <a class="button button-small" href=format!("/confirm-password?next={next}")>"Copy Link"</a> }.into_any()
        } else {
            view! { <CopyLink link key=id.to_string() about=about.clone()/> }.into_any()
        }
    };
    let actions = move || {
        (is_open.get() || locked.get()).then(|| view! {
            {copy.clone()}
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
        })
    };
    view! {
        <tr>
            <th scope="row" data-label="Email">{email}</th>
            <td data-label="Role"><Badge tone="neutral">{move || row.with(|row| row.role.label())}</Badge></td>
            <td data-label="Invited by">{move || row.with(|row| row.invited_by.clone())}</td>
            <td data-label="When">{move || view! { <Time at=row.with(|row| row.at) ahead=pending.get()/> }}</td>
            <td class="actions">{actions}</td>
        </tr>
    }
    .into_any()
}

fn member_row(row: LiveRow<MemberRow>, workspace: WorkspaceId) -> AnyView {
    let name = Memo::new(move |_| row.with(|row| row.name.clone()));
    let role = move || row.with(|row| row.role);
    let is_self = row.with_untracked(|row| row.is_self);
    let may_administer = Memo::new(move |_| row.with(|row| !row.may_grant.is_empty()));
    let owner = move || {
        role().is_owner().then(|| view! {
            <span class="crown" role="img" aria-label="Owner" title="Owner">{icon(Icon::Crown)}</span>
        })
    };
    let badge = move || {
        let role = role();
        let tone = if role <= Role::Admin {
            "accent"
        } else {
            "neutral"
        };
        view! { <Badge tone>{role.label()}</Badge> }
    };
    let last_active = move || match row.with(|row| row.last_active_at) {
        Some(at) => view! { <Time at/> }.into_any(),
        None => "—".into_any(),
    };
    view! {
        <tr>
            <th scope="row" data-label="Name">
                <span class="person">
                    {move || view! { <Avatar name=name.get()/> }}
                    <span>
                        <span class="person-name">{move || name.get()}{owner}{is_self.then_some(" (you)")}</span>
                        {move || row.with(|row| row.email.clone()).map(|email| view! { <span class="muted small">{email}</span> })}
                    </span>
                </span>
            </th>
            <td data-label="Role">{badge}</td>
            <td data-label="Joined">{move || view! { <Time at=row.with(|row| row.joined_at)/> }}</td>
            <td data-label="Last active">{last_active}</td>
            <td class="actions">{move || may_administer.get().then(|| administer(row, workspace))}</td>
        </tr>
    }
    .into_any()
}

/// The two icon buttons of a row, each with the dialog it opens.
fn administer(row: LiveRow<MemberRow>, workspace: WorkspaceId) -> impl IntoView {
    let id = row.with_untracked(|row| row.id.to_string());
    let (change, remove) = (dialog_id("role", &id), dialog_id("remove", &id));
    let name = Memo::new(move |_| row.with(|row| row.name.clone()));
    let role = Signal::derive(move || row.with(|row| row.role.to_string()));
    let roles = Signal::derive(move || {
        let option = |role: &Role| {
            let text = format!("{} — {}", role.label(), role.description());
            (role.to_string(), text)
        };
        row.with(|row| row.may_grant.iter().map(option).collect::<Vec<_>>())
    });
    let loses = move || {
        let stops = match row.with(|row| row.open_invitations) {
            0 => String::new(),
            1 => " 1 pending invitation they sent will stop working.".to_owned(),
            n => format!(" {n} pending invitations they sent will stop working."),
        };
        let name = row.with(|row| row.name.clone());
        format!("{name} will lose access immediately. Everything they created stays.{stops}")
    };
    let keys = move || {
        let made = row.with(|row| row.keys_made.join(", "));
        (!made.is_empty()).then(|| view! { <p class="dialog-text">"API keys they created will keep working: "<strong>{made}</strong></p> })
    };
    let change_title = Signal::derive(move || format!("Change {}'s Role", name.get()));
    let remove_title = Signal::derive(move || format!("Remove {}?", name.get()));
    let change_refused = was_refused(ChangeRole::PATH, &id);
    let remove_refused = was_refused(RemoveMember::PATH, &id);
    let leaving = id.clone();
    view! {
        <OpenDialog dialog=change.clone() class="icon-button" label="Change Role">{icon(Icon::UserCog)}</OpenDialog>
        <Dialog id=change title=change_title open=change_refused>
            <Form action=ChangeRole::PATH key=id.clone()>
                <Hidden name="form[workspace]" value=workspace.to_string()/>
                <Hidden name="form[member]" value=id.clone()/>
                <Select name="role" label="New role" options=roles selected=role/>
                <CurrentPassword hint="Confirm your password to change owners"/>
                <div class="dialog-actions"><CancelDialog/><Submit>"Save Role"</Submit></div>
            </Form>
        </Dialog>
        <OpenDialog dialog=remove.clone() class="icon-button" label="Remove">{icon(Icon::UserMinus)}</OpenDialog>
        <Dialog id=remove title=remove_title open=remove_refused>
            <p class="dialog-text">{loses}</p>
            {keys}
            <Form action=RemoveMember::PATH key=leaving.clone()>
                <Hidden name="workspace" value=workspace.to_string()/>
                <Hidden name="member" value=leaving.clone()/>
                <div class="dialog-actions"><CancelDialog/><Submit class="button button-danger">"Remove Member"</Submit></div>
            </Form>
        </Dialog>
    }
}

use domain::workspace::{SlugCheck, WorkspaceView};
use domain::{Topic, WorkspaceId};
use leptos::ev::MouseEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use server_fn::ServerFn;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlInputElement};

use super::api::{
    CheckSlug, CreateWorkspace, DeleteWorkspace, LeaveWorkspace, LoadNewWorkspace, LoadWorkspace,
    RenameWorkspace, TransferOwnership, UpdateWorkspaceUrl,
};
use crate::rpc::call;
use crate::session::api::SignOut;
use crate::session::notice::ConfirmFirst;
use crate::ui::{
    AuthLayout, Card, CurrentPassword, Data, Field, Form, Hidden, PageHeader, Select, Submit,
    guarded, use_slug, view, was_refused,
};

#[component]
pub fn WorkspacePage() -> impl IntoView {
    let slug = use_slug();
    view! {
        <Title text="Workspace"/>
        <PageHeader title="Workspace Settings" lead="Manage your workspace name, URL and ownership."/>
        {guarded(move || LoadWorkspace { workspace: slug.get() }, &[Topic::Workspace, Topic::Members], workspace)}
    }
}

fn workspace(data: Data<WorkspaceView>) -> impl IntoView {
    let id = data.with_untracked(|workspace| workspace.id);
    let may_edit = Memo::new(move |_| data.with(|workspace| workspace.may_edit));
    view! {
        {move || if may_edit.get() { edit(data, id).into_any() } else { facts(data).into_any() }}
        {danger(data, id)}
    }
}

fn facts(data: Data<WorkspaceView>) -> impl IntoView {
    view! {
        <Card title="Workspace" text="Only owners and admins can edit these settings.">
            <dl class="facts">
                <dt>"Workspace Name"</dt><dd>{move || data.with(|workspace| workspace.name.clone())}</dd>
                <dt>"Workspace URL"</dt>
                <dd>{move || data.with(|workspace| format!("Your workspace is accessible at /w/{}", workspace.slug))}</dd>
            </dl>
        </Card>
    }
}

fn edit(data: Data<WorkspaceView>, id: WorkspaceId) -> impl IntoView {
    let name = Signal::derive(move || data.with(|workspace| workspace.name.clone()));
    let slug = Signal::derive(move || data.with(|workspace| workspace.slug.to_string()));
    view! {
        <Card title="Name">
            <Form action=RenameWorkspace::PATH guard=true>
                <Hidden name="form[workspace]" value=id.to_string()/>
                <Field name="name" label="Workspace Name" value=name autocomplete="organization"/>
                <div class="form-actions"><Submit>"Save Changes"</Submit></div>
            </Form>
        </Card>
        <Card title="URL">
            <Form action=UpdateWorkspaceUrl::PATH guard=true>
                <Hidden name="form[workspace]" value=id.to_string()/>
                <SlugField workspace=id.to_string() value=slug label="Slug (Workspace URL)"/>
                <p class="hint">{move || format!("Your workspace is accessible at /w/{}", slug.get())}</p>
                <div class="form-actions"><Submit class="button">"Update URL"</Submit></div>
            </Form>
            {move || {
                let former = data.with(|workspace| workspace.former.clone());
                (!former.is_empty()).then(|| view! {
                    <ul class="hint-list">
                        {former.into_iter().map(|(slug, until)| view! {
                            <li class="row">
                                {format!("/w/{slug} redirects here until {}", until.date())}
                                <Form action=UpdateWorkspaceUrl::PATH class="inline-form" key=slug.to_string()>
                                    <Hidden name="form[workspace]" value=id.to_string()/>
                                    <Hidden name="form[slug]" value=slug.to_string()/>
                                    <Submit class="button-tiny">"Revert"</Submit>
                                </Form>
                            </li>
                        }).collect_view()}
                    </ul>
                })
            }}
        </Card>
    }
}

/// A slug field, checked while it is typed: format, reserved words, availability; with an available suggestion.
#[component]
fn SlugField(
    #[prop(into)] workspace: String,
    #[prop(optional, into)] value: Signal<String>,
    label: &'static str,
) -> impl IntoView {
    let check = RwSignal::new(None::<SlugCheck>);
    let turn = StoredValue::new(0_u32);
    let workspace = StoredValue::new(workspace);
    let on_typed = Callback::new(move |text: String| {
        let this = turn.get_value() + 1;
        turn.set_value(this);
        check.set(None);
        if text.is_empty() {
            return;
        }
        // Wait for a pause in typing, then ask. An answer to an older text is dropped.
        set_timeout(
            move || {
                if turn.try_get_value() != Some(this) {
                    return;
                }
                spawn_local(async move {
                    let answer = call(CheckSlug {
                        workspace: workspace.get_value(),
                        slug: text,
                    })
                    .await
                    .ok();
                    if turn.try_get_value() == Some(this) {
                        check.set(answer);
                    }
                });
            },
            std::time::Duration::from_millis(200),
        );
    });
    let take = move |event: MouseEvent, free: String| {
        // The field beside the button.
        let field = event
            .target()
            .and_then(|button| button.dyn_into::<Element>().ok())
            .and_then(|button| button.closest(".field").ok().flatten())
            .and_then(|field| field.query_selector("input").ok().flatten())
            .and_then(|input| input.dyn_into::<HtmlInputElement>().ok());
        if let Some(field) = field {
            field.set_value(&free);
            let _ = field.focus();
            on_typed.run(free);
        }
    };
    let remark = move || {
        check.get().map(|check| match check {
            SlugCheck::Free => "Available".into_any(),
            SlugCheck::Current => "This is your current URL".into_any(),
            SlugCheck::No { reason, suggestion: None } => reason.into_any(),
            SlugCheck::No { reason, suggestion: Some(free) } => {
                let free = free.to_string();
                let text = free.clone();
                view! {
                    {reason}". Try "
                    <button type="button" class="text-button" on:click=move |event| take(event, free.clone())>{text}</button>"."
                }.into_any()
            }
        })
    };
    view! { <Field name="slug" label=label before="/w/" value=value on_typed=on_typed remark=remark.into_any()/> }
}

/// What cannot be undone: leaving, for everyone; the rest, for owners.
fn danger(data: Data<WorkspaceView>, id: WorkspaceId) -> impl IntoView {
    let owns = Memo::new(move |_| data.with(|workspace| workspace.role.is_owner()));
    let last_owner = Memo::new(move |_| data.with(|workspace| workspace.last_owner));
    let has_heirs =
        Memo::new(move |_| data.with(|workspace| !workspace.transfer_candidates.is_empty()));
    let transfer_candidates = Signal::derive(move || {
        let nobody = (String::new(), "Choose a member".to_owned());
        data.with(|workspace| {
            let transfer_candidates = workspace.transfer_candidates.iter();
            let options = transfer_candidates.map(|(id, name)| (id.to_string(), name.clone()));
            std::iter::once(nobody).chain(options).collect::<Vec<_>>()
        })
    });
    let ask = Signal::derive(move || data.with(|workspace| workspace.ask_password));
    let typed =
        Signal::derive(move || data.with(|workspace| format!("The slug is {}", workspace.slug)));
    let leave = move || {
        if last_owner.get() {
            return view! {
                <div class="danger-item">
                    <h3 class="danger-title" id="leave-workspace">"Leave Workspace"</h3>
                    <p class="card-text">
                        "You're the only owner. Transfer ownership before leaving, or delete the workspace."
                    </p>
                </div>
            }
            .into_any();
        }
        view! {
            <details class="danger-item" id="leave-workspace" open=was_refused(LeaveWorkspace::PATH, "")>
                <summary>"Leave Workspace"</summary>
                <p class="card-text">"You'll lose access immediately. An owner or admin can invite you back."</p>
                <Form action=LeaveWorkspace::PATH reload=true>
                    <Hidden name="form[workspace]" value=id.to_string()/>
                    <Field name="slug" label="Type the slug to leave" hint=typed/>
                    <CurrentPassword hint="For your security, confirm your password to leave as an owner"/>
                    <div class="form-actions"><Submit class="button button-danger">"Leave Workspace"</Submit></div>
                </Form>
            </details>
        }
        .into_any()
    };
    let transfer = move || {
        has_heirs.get().then(|| view! {
            <details class="danger-item" id="transfer-ownership" open=was_refused(TransferOwnership::PATH, "")>
                <summary>"Transfer Ownership"</summary>
                <p class="card-text">"The new owner gets full control and you become an admin."</p>
                <Form action=TransferOwnership::PATH>
                    <Hidden name="form[workspace]" value=id.to_string()/>
                    <Select name="member" label="New owner" options=transfer_candidates/>
                    <Field name="slug" label="Type the slug to transfer" hint=typed/>
                    <CurrentPassword ask/>
                    <div class="form-actions"><Submit class="button button-danger">"Transfer Ownership"</Submit></div>
                </Form>
            </details>
        })
    };
    let delete = move || {
        owns.get().then(|| view! {
            <section class="danger-item" aria-labelledby="delete-workspace">
                <h3 class="danger-title" id="delete-workspace">"Delete Workspace"</h3>
                <p class="card-text">
                    {move || data.with(|workspace| format!(
                        "Permanently deletes the workspace and all of its data, including {} and {}. This can't be undone.",
                        counted(workspace.members, "member"), counted(workspace.contacts, "contact"),
                    ))}
                </p>
                <Form action=DeleteWorkspace::PATH reload=true>
                    <Hidden name="form[workspace]" value=id.to_string()/>
                    <Field name="slug" label="Type the slug to confirm" hint=typed/>
                    <CurrentPassword ask/>
                    <div class="form-actions"><Submit class="button button-danger">"Delete Workspace"</Submit></div>
                </Form>
            </section>
        })
    };
    view! { <Card title="Danger Zone" danger=true>{leave}{transfer}{delete}</Card> }
}

/// `1 member`, `12 contacts`.
fn counted(count: u64, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {one}{plural}")
}

/// `/new`: another workspace.
#[component]
pub fn NewWorkspacePage() -> impl IntoView {
    guarded(
        || LoadNewWorkspace {},
        &[Topic::Account],
        |confirmed: Data<bool>| {
            view! {
                <AuthLayout title="Create Workspace">
                    {move || (!confirmed.get()).then(|| view! { <ConfirmFirst/> })}
                    <Form action=CreateWorkspace::PATH reload=true guard=true>
                        <Field name="name" label="Workspace Name" autocomplete="organization"/>
                        <SlugField workspace="" label="Slug (Workspace URL)"/>
                        <p class="hint">"Leave blank to generate one from the name"</p>
                        <Submit class="button button-primary button-wide">"Create Workspace"</Submit>
                    </Form>
                    <Form action=SignOut::PATH class="auth-foot" reload=true>
                        <Hidden name="next" value="/login".to_owned()/>
                        <Submit class="text-button">"Sign Out"</Submit>
                    </Form>
                </AuthLayout>
            }
        },
    )
}

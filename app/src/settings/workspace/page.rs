use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;
use server_fn::ServerFn;

use super::api::{
    CheckSlug, CreateWorkspace, DeleteWorkspace, LeaveWorkspace, LoadWorkspace, RenameWorkspace,
    TransferOwnership, UpdateWorkspaceUrl,
};
use super::model::{SlugCheck, WorkspaceView};
use crate::call::call;
use crate::domain::WorkspaceId;
use crate::live::Topic;
use crate::ui::{Card, Data, Field, Form, Hidden, PageHeader, Select, Submit, guarded};

#[component]
pub fn WorkspacePage() -> impl IntoView {
    let params = use_params_map();
    let slug = Memo::new(move |_| params.with(|params| params.get("slug").unwrap_or_default()));
    view! {
        <Title text="Workspace"/>
        <PageHeader title="Workspace Settings" lead="The workspace's name and its address."/>
        {guarded(move || LoadWorkspace { workspace: slug.get() }, &[Topic::Workspace, Topic::Members], workspace)}
    }
}

fn workspace(data: Data<WorkspaceView>) -> impl IntoView {
    let id = data.with_untracked(|workspace| workspace.id);
    let may_edit = data.with_untracked(|workspace| workspace.may_edit);
    let slug = Signal::derive(move || data.with(|workspace| workspace.slug.to_string()));
    view! {
        {if may_edit { edit(data, id).into_any() } else { facts(data).into_any() }}
        <Card title="Leave workspace" text="You lose access at once. Someone who may invite can ask you back.">
            {move || if data.with(|workspace| workspace.last_owner) {
                view! { <p class="muted">"You are the only owner. Transfer the ownership or delete the workspace instead."</p> }.into_any()
            } else {
                view! {
                    <Form action=LeaveWorkspace::PATH reload=true>
                        <Hidden name="workspace" value=id.to_string()/>
                        <div class="form-actions"><Submit class="button">"Leave workspace"</Submit></div>
                    </Form>
                }.into_any()
            }}
        </Card>
        {move || data.with(|workspace| workspace.role.is_owner()).then(|| danger(data, id, slug))}
    }
}

fn facts(data: Data<WorkspaceView>) -> impl IntoView {
    view! {
        <Card title="Workspace" text="An owner or admin of this workspace can change these.">
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
                {move || {
                    let former = data.with(|workspace| workspace.former.clone());
                    (!former.is_empty()).then(|| view! {
                        <ul class="hint-list">
                            {former.into_iter().map(|(slug, until)| view! {
                                <li>{format!("/w/{slug} leads here until {}", until.date())}</li>
                            }).collect_view()}
                        </ul>
                    })
                }}
                <div class="form-actions"><Submit class="button">"Update URL"</Submit></div>
            </Form>
        </Card>
    }
}

/// A slug's field, checked as one types: form, reserved words, taken, with a free suggestion.
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
        // Wait for a pause in the typing, then ask; an answer to an older text is dropped.
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
    let remark = view! {
        <p class="hint slug-check" aria-live="polite">{move || check.get().map(|check| match check {
            SlugCheck::Free => "This URL is free".to_owned(),
            SlugCheck::Current => "This is your URL already".to_owned(),
            SlugCheck::No { reason, suggestion: Some(free) } => format!("{reason}. Free: {free}"),
            SlugCheck::No { reason, suggestion: None } => reason,
        })}</p>
    }
    .into_any();
    view! { <Field name="slug" label=label before="/w/" value=value on_typed=on_typed remark=remark/> }
}

fn danger(data: Data<WorkspaceView>, id: WorkspaceId, slug: Signal<String>) -> impl IntoView {
    let ask = data.with_untracked(|workspace| workspace.ask_password);
    let password = move || {
        ask.then(|| view! {
        <Field name="current_password" label="Current Password" kind="password" autocomplete="current-password"/>
    })
    };
    let heirs = data.with_untracked(|workspace| workspace.heirs.clone());
    let options: Vec<(String, String)> = heirs
        .into_iter()
        .map(|(id, name)| (id.to_string(), name))
        .collect();
    view! {
        <section class="card card-danger" aria-labelledby="danger-zone">
            <div class="card-header"><h2 class="card-title" id="danger-zone">"Danger Zone"</h2></div>
            {(!options.is_empty()).then(|| view! {
                <details class="danger-item">
                    <summary>"Transfer ownership"</summary>
                    <p class="card-text">"The new owner gets every right, and you become an admin."</p>
                    <Form action=TransferOwnership::PATH>
                        <Hidden name="form[workspace]" value=id.to_string()/>
                        <Select name="member" label="New owner" options=options.clone()/>
                        {password()}
                        <div class="form-actions"><Submit class="button button-danger">"Transfer ownership"</Submit></div>
                    </Form>
                </details>
            })}
            <h3 class="danger-title">"Delete Workspace"</h3>
            <p class="card-text">
                {move || data.with(|workspace| format!(
                    "Removes the workspace and all its data, irreversibly: {} members, {} contacts, every invitation and event.",
                    workspace.members, workspace.contacts,
                ))}
            </p>
            <Form action=DeleteWorkspace::PATH reload=true>
                <Hidden name="form[workspace]" value=id.to_string()/>
                <Field name="slug" label="Type the slug to confirm" hint=format!("It is {}", slug.get_untracked())/>
                {password()}
                <div class="form-actions"><Submit class="button button-danger">"Delete Workspace"</Submit></div>
            </Form>
        </section>
    }
}

/// `/new`: another workspace.
#[component]
pub fn NewWorkspacePage() -> impl IntoView {
    guarded(
        || crate::session::api::LoadFirstPath {},
        &[],
        |path: Data<String>| {
            if path.get_untracked() == "/login" {
                return view! { <leptos_router::components::Redirect path="/login?next=/new"/> }
                    .into_any();
            }
            view! {
            <Title text="Create workspace"/>
            <main id="main" class="auth">
                <p class="auth-brand"><a href="/">"Wheelhouse"</a></p>
                <div class="auth-card">
                    <h1>"Create workspace"</h1>
                    <Form action=CreateWorkspace::PATH reload=true>
                        <Field name="name" label="Workspace Name" autocomplete="organization"/>
                        <SlugField workspace="" label="Slug (Workspace URL)"/>
                        <p class="hint">"Leave it empty to have one made from the name."</p>
                        <Submit class="button button-primary button-wide">"Create Workspace"</Submit>
                    </Form>
                </div>
            </main>
        }.into_any()
        },
    )
}

use leptos::prelude::*;
use leptos_meta::Title;
use server_fn::ServerFn;

use super::api::{
    CancelEmailChange, EndOtherSessions, EndSession, LoadAccount, ResendEmailChange, SaveProfile,
    UpdatePassword,
};
use super::model::{AccountView, SessionView};
use crate::live::Topic;
use crate::session::api::ResendConfirmation;
use crate::ui::{
    Badge, Card, CurrentPassword, Data, Field, Form, Hidden, Icon, PageHeader, Submit, Time,
    Username, guarded, icon, rows, view,
};

#[component]
pub fn AccountPage() -> impl IntoView {
    view! {
        <Title text="Account"/>
        <PageHeader title="Account" lead="Your name, how you sign in, and where you are signed in."/>
        {guarded(|| LoadAccount {}, &[Topic::Account], account)}
    }
}

fn account(data: Data<AccountView>) -> impl IntoView {
    let name = Signal::derive(move || data.with(|account| account.name.clone()));
    let email = Signal::derive(move || data.with(|account| account.email.to_string()));
    let ask = Signal::derive(move || data.with(|account| account.ask_password));
    view! {
        <Card title="Account Information" text="Your display name and the address you sign in with.">
            {move || data.with(|account| (!account.confirmed).then(unconfirmed))}
            {move || data.with(|account| account.pending.clone()).map(|pending| view! {
                <div class="callout" data-tone="info">
                    {icon(Icon::Mail)}
                    <div>
                        <p>
                            <strong>{pending.email.to_string()}</strong>" waits for its confirmation. "
                            "Until then you sign in with your present address. The link expires "
                            <Time at=pending.expires_at ahead=true/>"."
                        </p>
                        <div class="row">
                            <Form action=ResendEmailChange::PATH class="inline-form">
                                <Submit class="button button-small">"Resend"</Submit>
                            </Form>
                            <Form action=CancelEmailChange::PATH class="inline-form">
                                <Submit class="button button-small">"Cancel"</Submit>
                            </Form>
                        </div>
                    </div>
                </div>
            })}
            <Form action=SaveProfile::PATH guard=true>
                <Field name="name" label="Name" value=name autocomplete="name"/>
                <Field name="email" label="Email" kind="email" value=email autocomplete="email" not_yet=true/>
                <CurrentPassword ask hint="Only needed to change your email address"/>
                <div class="form-actions"><Submit>"Save Changes"</Submit></div>
            </Form>
        </Card>
        <Card title="Change Password" text="Every other session of yours ends when the password changes.">
            <Form action=UpdatePassword::PATH clear=true guard=true>
                <Username value=email/>
                <Field
                    name="password" label="New Password" kind="password" autocomplete="new-password"
                    hint="At least 12 characters. A few unrelated words are best"
                />
                <Field name="confirm" label="Confirm Password" kind="password" autocomplete="new-password"/>
                <CurrentPassword ask/>
                <div class="form-actions"><Submit class="button">"Update Password"</Submit></div>
            </Form>
        </Card>
        <Card title="Your sessions" text="Browsers in which you are signed in.">
            <ul class="divided-list">
                {rows(move || data.with(|account| account.sessions.clone()), session_row)}
            </ul>
            {move || data.with(|account| account.sessions.len() > 1).then(|| view! {
                <Form action=EndOtherSessions::PATH class="card-footer">
                    <Submit class="button">"End all others"</Submit>
                </Form>
            })}
        </Card>
    }
}

fn unconfirmed() -> impl IntoView {
    view! {
        <div class="callout" data-tone="warning">
            {icon(Icon::Mail)}
            <div>
                <p>"Your email address is not confirmed yet. We sent you a link."</p>
                <Form action=ResendConfirmation::PATH class="inline-form">
                    <Submit class="button button-small">"Send it again"</Submit>
                </Form>
            </div>
        </div>
    }
}

fn session_row(session: SessionView) -> AnyView {
    view! {
        <li class="list-row">
            {icon(Icon::Monitor)}
            <div class="list-main">
                <p class="list-title">
                    {session.browser.clone()}
                    {session.current.then(|| view! { " "<Badge tone="success">"This device"</Badge> })}
                </p>
                <p class="muted small">{session.address}" · last seen "<Time at=session.last_seen_at/></p>
            </div>
            {(!session.current).then(|| view! {
                <Form action=EndSession::PATH class="inline-form" key=session.id.to_string()>
                    <Hidden name="session" value=session.id.to_string()/>
                    <Submit class="button button-small">"End session"</Submit>
                </Form>
            })}
        </li>
    }
    .into_any()
}

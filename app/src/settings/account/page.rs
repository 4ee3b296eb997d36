use domain::Topic;
use domain::account::{AccountView, SessionView};
use leptos::prelude::*;
use leptos_meta::Title;
use server_fn::ServerFn;

use super::api::{
    CancelEmailChange, EndOtherSessions, EndSession, LoadAccount, ResendEmailChange, SaveProfile,
    UpdatePassword,
};
use crate::session::api::ResendConfirmation;
use crate::ui::{
    Badge, Card, CurrentPassword, Data, Field, Form, Hidden, Icon, PageHeader, Submit, Time,
    Username, guarded, icon, rows, view,
};

#[component]
pub fn AccountPage() -> impl IntoView {
    view! {
        <Title text="Account"/>
        <PageHeader title="Account" lead="Manage your profile, password and active sessions."/>
        {guarded(|| LoadAccount {}, &[Topic::Account], account)}
    }
}

fn account(data: Data<AccountView>) -> impl IntoView {
    let name = Signal::derive(move || data.with(|account| account.name.clone()));
    let email = Signal::derive(move || data.with(|account| account.email.to_string()));
    let ask = Signal::derive(move || data.with(|account| account.ask_password));
    view! {
        <Card title="Account Information" text="Your display name and sign-in email.">
            {move || data.with(|account| (!account.confirmed).then(unconfirmed))}
            {move || data.with(|account| account.pending.clone()).map(|pending| view! {
                <div class="callout" data-tone="info">
                    {icon(Icon::Mail)}
                    <div>
                        <p>
                            "Confirm "<strong>{pending.email.to_string()}</strong>" to finish the change. "
                            "We sent a link that expires "<Time at=pending.expires_at ahead=true/>". "
                            "Until then, keep signing in with your current email."
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
                <CurrentPassword ask hint="Required to change your email"/>
                <div class="form-actions"><Submit>"Save Changes"</Submit></div>
            </Form>
        </Card>
        <Card title="Change Password" text="Changing your password signs you out of all other sessions.">
            <Form action=UpdatePassword::PATH clear=true guard=true>
                <Username value=email/>
                <Field
                    name="password" label="New Password" kind="password" autocomplete="new-password"
                    hint="Use at least 12 characters. A few unrelated words work best."
                />
                <Field name="confirm" label="Confirm Password" kind="password" autocomplete="new-password"/>
                <CurrentPassword ask/>
                <div class="form-actions"><Submit class="button">"Update Password"</Submit></div>
            </Form>
        </Card>
        <Card title="Active Sessions" text="Devices currently signed in to your account.">
            <ul class="divided-list">
                {rows(move || data.with(|account| account.sessions.clone()), session_row)}
            </ul>
            {move || data.with(|account| account.sessions.len() > 1).then(|| view! {
                <Form action=EndOtherSessions::PATH class="card-footer">
                    <Submit class="button">"End All Other Sessions"</Submit>
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
                <p>"Confirm your email address. We sent you a link."</p>
                <Form action=ResendConfirmation::PATH class="inline-form">
                    <Submit class="button button-small">"Resend Email"</Submit>
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
                <p class="muted small">{session.address}" · Last active "<Time at=session.last_seen_at/></p>
            </div>
            {(!session.current).then(|| view! {
                <Form action=EndSession::PATH class="inline-form" key=session.id.to_string()>
                    <Hidden name="session" value=session.id.to_string()/>
                    <Submit class="button button-small">"End Session"</Submit>
                </Form>
            })}
        </li>
    }
    .into_any()
}

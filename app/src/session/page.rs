//! The pages of someone who is on the way in.

use leptos::prelude::*;
use server_fn::ServerFn;

use super::api::{
    AcceptInvitation, CheckConfirmationLink, CheckResetLink, ConfirmEmail, ConfirmPassword,
    LoadFirstPath, LoadInvitation, RequestPasswordReset, ResetPassword, SignIn, SignOut, SignUp,
};
use super::model::{InvitationState, InvitationView, LinkKind};
use crate::domain::{AppError, Secret};
use crate::ui::{
    AuthLayout, CurrentPassword, Data, ErrorPage, Field, Form, Hidden, Submit, Username, guarded,
    last_part, redirect, use_asked, view,
};

/// `/`: leads to where someone was last, or to the sign-in page.
#[component]
pub fn HomePage() -> impl IntoView {
    guarded(
        || LoadFirstPath {},
        &[],
        |path: Data<String>| redirect(path.get_untracked()),
    )
}

#[component]
pub fn LoginPage() -> impl IntoView {
    let next = use_asked("next");
    view! {
        <AuthLayout title="Sign in">
            <Form action=SignIn::PATH reload=true>
                <Hidden name="form[next]" value=next/>
                <Field name="email" label="Email" kind="email" autocomplete="username"/>
                <Field name="password" label="Password" kind="password" autocomplete="current-password"/>
                <Submit class="button button-primary button-wide">"Sign In"</Submit>
            </Form>
            <p class="auth-foot"><a href="/forgot-password">"Forgot your password?"</a></p>
            <p class="auth-foot">"New here? "<a href="/signup">"Create an account"</a></p>
        </AuthLayout>
    }
}

/// `/confirm-password`: for what wants a fresh sign-in and has no form to ask in. `?next=` says where to go on.
#[component]
pub fn ConfirmPasswordPage() -> impl IntoView {
    let next = use_asked("next");
    view! {
        <AuthLayout title="Confirm your password">
            <p>"Your sign-in is more than 15 minutes old. Enter your password to continue."</p>
            <Form action=ConfirmPassword::PATH reload=true>
                <Hidden name="form[next]" value=next/>
                <CurrentPassword ask=Signal::derive(|| true)/>
                <Submit class="button button-primary button-wide">"Continue"</Submit>
            </Form>
            <p class="auth-foot"><a href="/">"Go to your workspace"</a></p>
        </AuthLayout>
    }
}

#[component]
pub fn SignUpPage() -> impl IntoView {
    view! {
        <AuthLayout title="Create your account">
            <Form action=SignUp::PATH reload=true>
                <Field name="name" label="Name" autocomplete="name"/>
                <Field name="email" label="Email" kind="email" autocomplete="username"/>
                <Field
                    name="password" label="Password" kind="password" autocomplete="new-password"
                    hint="At least 12 characters. A few unrelated words are best"
                />
                <Field name="workspace" label="Workspace Name" autocomplete="organization"/>
                <Submit class="button button-primary button-wide">"Create Account"</Submit>
            </Form>
            <p class="auth-foot">"You have an account? "<a href="/login">"Sign in"</a></p>
        </AuthLayout>
    }
}

#[component]
pub fn ForgotPasswordPage() -> impl IntoView {
    view! {
        <AuthLayout title="Forgot your password?">
            <p class="muted">"We send you a link to choose a new one."</p>
            <Form action=RequestPasswordReset::PATH>
                <Field name="email" label="Email" kind="email" autocomplete="username"/>
                <Submit class="button button-primary button-wide">"Send Link"</Submit>
            </Form>
            <p class="auth-foot"><a href="/login">"Back to sign in"</a></p>
        </AuthLayout>
    }
}

#[component]
pub fn ResetPasswordPage() -> impl IntoView {
    let token = StoredValue::new(last_part());
    guarded(
        move || CheckResetLink {
            token: Secret::from(token.get_value()),
        },
        &[],
        move |works: Data<bool>| {
            if works.get_untracked() {
                view! {
                    <AuthLayout title="Choose a new password">
                        <Form action=ResetPassword::PATH reload=true>
                            <Hidden name="form[token]" value=token.get_value()/>
                            <Field
                                name="password" label="New Password" kind="password" autocomplete="new-password"
                                hint="At least 12 characters. A few unrelated words are best"
                            />
                            <Field name="confirm" label="Confirm Password" kind="password" autocomplete="new-password"/>
                            <Submit class="button button-primary button-wide">"Update Password"</Submit>
                        </Form>
                    </AuthLayout>
                }.into_any()
            } else {
                view! {
                    <AuthLayout title="This link does not work">
                        <p>"It was used already, or is older than an hour."</p>
                        <p><a class="button" href="/forgot-password">"Send a new link"</a></p>
                    </AuthLayout>
                }
                .into_any()
            }
        },
    )
}

#[component]
pub fn ConfirmEmailPage() -> impl IntoView {
    let token = StoredValue::new(last_part());
    guarded(
        move || CheckConfirmationLink {
            token: Secret::from(token.get_value()),
        },
        &[],
        move |kind: Data<LinkKind>| {
            let (title, text, button) = match kind.get_untracked() {
                LinkKind::ConfirmAddress => (
                    "Confirm your email address",
                    "One click, and we know that it is yours.",
                    "Confirm",
                ),
                LinkKind::ConfirmChange => (
                    "Confirm your new email address",
                    "From then on you sign in with it. Other sessions end, so you will sign in again.",
                    "Confirm",
                ),
                LinkKind::KeepAddress => (
                    "Keep your email address",
                    "The change is taken back and every session of the account ends.",
                    "Keep this address",
                ),
                LinkKind::Dead => (
                    "This link does not work",
                    "It was used already, or is too old.",
                    "",
                ),
            };
            view! {
                <AuthLayout title=title>
                    <p>{text}</p>
                    {if button.is_empty() {
                        view! { <p><a class="button" href="/">"Go to Wheelhouse"</a></p> }.into_any()
                    } else {
                        view! {
                            <Form action=ConfirmEmail::PATH reload=true>
                                <Hidden name="form[token]" value=token.get_value()/>
                                <Submit class="button button-primary button-wide">{button}</Submit>
                            </Form>
                        }.into_any()
                    }}
                </AuthLayout>
            }
        },
    )
}

#[component]
pub fn InvitePage() -> impl IntoView {
    let token = StoredValue::new(last_part());
    guarded(
        move || LoadInvitation {
            token: Secret::from(token.get_value()),
        },
        &[],
        move |invitation: Data<InvitationView>| {
            invitation_page(invitation.get_untracked(), token.get_value())
        },
    )
}

fn invitation_page(invitation: InvitationView, token: String) -> impl IntoView {
    let InvitationView {
        workspace,
        inviter,
        email,
        role,
        state,
    } = invitation;
    let here = format!("/invite/{token}");
    let intro = view! {
        <p class="lead">
            <strong>{inviter}</strong>" invites "<strong>{email.clone()}</strong>" to join "<strong>{workspace}</strong>
            " as "<strong>{role.label()}</strong>"."
        </p>
        <p class="muted">{role.description()}</p>
    };
    let step = match state {
        InvitationState::Ready => view! {
            <Form action=AcceptInvitation::PATH reload=true>
                <Hidden name="form[token]" value=token/>
                <Submit class="button button-primary button-wide">"Accept Invitation"</Submit>
            </Form>
        }.into_any(),
        InvitationState::NewPerson => view! {
            <Form action=AcceptInvitation::PATH reload=true guard=true>
                <Hidden name="form[token]" value=token/>
                <Username value=email/>
                <Field name="name" label="Name" autocomplete="name"/>
                <Field
                    name="password" label="Password" kind="password" autocomplete="new-password"
                    hint="At least 12 characters. A few unrelated words are best"
                />
                <Submit class="button button-primary button-wide">"Accept Invitation"</Submit>
            </Form>
        }.into_any(),
        InvitationState::SignInFirst => view! {
            <p>"There is an account with this address. Sign in to accept."</p>
            <p><a class="button button-primary button-wide" href=format!("/login?next={here}")>"Sign in"</a></p>
        }.into_any(),
        InvitationState::OtherPerson { email: mine } => view! {
            <p>"You are signed in as "<strong>{mine}</strong>". The invitation is for another address."</p>
            <Form action=SignOut::PATH reload=true>
                <Hidden name="next" value=here/>
                <Submit class="button button-primary button-wide">"Sign out and continue"</Submit>
            </Form>
        }.into_any(),
        InvitationState::Member { slug } => view! {
            <p>"You are a member already."</p>
            <p><a class="button button-primary button-wide" href=format!("/w/{slug}")>"Open the workspace"</a></p>
        }.into_any(),
        InvitationState::Accepted => view! {
            <p>"This invitation was accepted already. If it was you, sign in."</p>
            <p><a class="button button-primary button-wide" href="/login">"Sign in"</a></p>
        }.into_any(),
        InvitationState::Expired => view! { <p>"The invitation has expired. Ask for a new one."</p> }.into_any(),
    };
    view! { <AuthLayout title="You are invited">{intro}{step}</AuthLayout> }
}

/// Where no page is.
#[component]
pub fn NotFoundPage() -> impl IntoView {
    view! { <ErrorPage error=AppError::NotFound/> }
}

//! The pages for sign-up, sign-in, password reset, email confirmation and invitations.

use domain::session::{InvitationState, InvitationView, LinkKind};
use domain::{AppError, Secret};
use leptos::prelude::*;
use server_fn::ServerFn;

use super::api::{
    AcceptInvitation, CheckConfirmationLink, CheckResetLink, ConfirmEmail, ConfirmPassword,
    LoadFirstPath, LoadInvitation, RequestPasswordReset, ResetPassword, SignIn, SignOut, SignUp,
};
use crate::ui::{
    AuthLayout, CurrentPassword, Data, ErrorPage, Field, Form, Hidden, Submit, Username, guarded,
    last_part, redirect, use_asked, view,
};

/// `/`: redirects to the workspace used last, or to the sign-in page.
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
        <AuthLayout title="Sign In">
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

/// `/confirm-password`: for actions that need a fresh sign-in but have no form. `?next=` is the page to open
/// afterwards.
#[component]
pub fn ConfirmPasswordPage() -> impl IntoView {
    let next = use_asked("next");
    view! {
        <AuthLayout title="Confirm Your Password">
            <p>"For your security, enter your password to continue."</p>
            <Form action=ConfirmPassword::PATH reload=true>
                <Hidden name="form[next]" value=next/>
                <CurrentPassword ask=Signal::derive(|| true)/>
                <Submit class="button button-primary button-wide">"Continue"</Submit>
            </Form>
            <p class="auth-foot"><a href="/">"Back to your workspace"</a></p>
        </AuthLayout>
    }
}

#[component]
pub fn SignUpPage() -> impl IntoView {
    view! {
        <AuthLayout title="Create Your Account">
            <Form action=SignUp::PATH reload=true>
                <Field name="name" label="Name" autocomplete="name"/>
                <Field name="email" label="Email" kind="email" autocomplete="username"/>
                <Field
                    name="password" label="Password" kind="password" autocomplete="new-password"
                    hint="Use at least 12 characters. A few unrelated words work best."
                />
                <Field name="workspace" label="Workspace Name" autocomplete="organization"/>
                <Submit class="button button-primary button-wide">"Create Account"</Submit>
            </Form>
            <p class="auth-foot">"Already have an account? "<a href="/login">"Sign in"</a></p>
        </AuthLayout>
    }
}

#[component]
pub fn ForgotPasswordPage() -> impl IntoView {
    view! {
        <AuthLayout title="Forgot your password?">
            <p class="muted">"Enter your email and we'll send you a link to reset it."</p>
            <Form action=RequestPasswordReset::PATH>
                <Field name="email" label="Email" kind="email" autocomplete="username"/>
                <Submit class="button button-primary button-wide">"Send Reset Link"</Submit>
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
                    <AuthLayout title="Set a New Password">
                        <Form action=ResetPassword::PATH reload=true>
                            <Hidden name="form[token]" value=token.get_value()/>
                            <Field
                                name="password" label="New Password" kind="password" autocomplete="new-password"
                                hint="Use at least 12 characters. A few unrelated words work best."
                            />
                            <Field name="confirm" label="Confirm Password" kind="password" autocomplete="new-password"/>
                            <Submit class="button button-primary button-wide">"Update Password"</Submit>
                        </Form>
                    </AuthLayout>
                }.into_any()
            } else {
                view! {
                    <AuthLayout title="This link has expired">
                        <p>"Reset links work once and last 1 hour."</p>
                        <p><a class="button" href="/forgot-password">"Request a New Link"</a></p>
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
                    "Confirm Your Email Address",
                    "Confirm that this email address is yours.",
                    "Confirm",
                ),
                LinkKind::ConfirmChange => (
                    "Confirm Your New Email Address",
                    "You'll use this address to sign in. For security you'll be signed out everywhere.",
                    "Confirm",
                ),
                LinkKind::KeepAddress => (
                    "Keep Your Email Address",
                    "We'll cancel the change and sign you out everywhere.",
                    "Keep My Current Email",
                ),
                LinkKind::Dead => (
                    "This link is no longer valid",
                    "It may have expired or already been used.",
                    "",
                ),
            };
            view! {
                <AuthLayout title=title>
                    <p>{text}</p>
                    {if button.is_empty() {
                        view! { <p><a class="button" href="/">"Back to Wheelhouse"</a></p> }.into_any()
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
    let title = format!("Join {workspace}");
    let intro = view! {
        <p class="lead">
            <strong>{inviter}</strong>" invited you ("<strong>{email.clone()}</strong>") to join "
            <strong>{workspace.clone()}</strong>" as "<strong>{role.with_article()}</strong>"."
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
                    hint="Use at least 12 characters. A few unrelated words work best."
                />
                <Submit class="button button-primary button-wide">"Accept Invitation"</Submit>
            </Form>
        }.into_any(),
        InvitationState::SignInFirst => view! {
            <p>"You already have an account. Sign in to accept."</p>
            <p><a class="button button-primary button-wide" href=format!("/login?next={here}")>"Sign In"</a></p>
        }.into_any(),
        InvitationState::OtherPerson { email: mine } => view! {
            <p>"This invitation is for "<strong>{email}</strong>", but you're signed in as "<strong>{mine}</strong>"."</p>
            <Form action=SignOut::PATH reload=true>
                <Hidden name="next" value=here/>
                <Submit class="button button-primary button-wide">"Sign Out and Continue"</Submit>
            </Form>
        }.into_any(),
        InvitationState::Member { slug } => view! {
            <p>{format!("You're already a member of {workspace}.")}</p>
            <p><a class="button button-primary button-wide" href=format!("/w/{slug}")>{format!("Open {workspace}")}</a></p>
        }.into_any(),
        InvitationState::Accepted => view! {
            <p>"This invitation has already been accepted. If that was you, sign in."</p>
            <p><a class="button button-primary button-wide" href="/login">"Sign In"</a></p>
        }.into_any(),
        InvitationState::Expired => view! {
            <p>"This invitation has expired. Ask the person who invited you for a new one."</p>
        }.into_any(),
    };
    view! { <AuthLayout title=title>{intro}{step}</AuthLayout> }
}

/// The page for unknown paths.
#[component]
pub fn NotFoundPage() -> impl IntoView {
    view! { <ErrorPage error=AppError::NotFound/> }
}

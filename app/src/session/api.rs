//! The server functions of the sign-in pages.

use domain::Secret;
use domain::form::FormSuccess;
use domain::session::{
    AcceptForm, ConfirmPasswordForm, ForgotForm, InvitationView, LayoutData, LinkKind, ResetForm,
    SignInForm, SignUpForm, TokenForm,
};
use leptos::prelude::*;

use crate::rpc::{Postcard, RpcError};

#[cfg(feature = "ssr")]
use {super::caller, domain::AppError, store::auth::sessions};

#[server(output = Postcard)]
pub async fn sign_up(#[server(default)] form: SignUpForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let before = caller.visitor().await?;
    let begun = sessions::sign_up(
        caller.ctx(),
        caller.info(),
        form.parse().map_err(AppError::Invalid)?,
    )
    .await?;
    end_presented(&caller, before).await?;
    set_session_cookie(&caller, &begun.cookie);
    leptos_axum::redirect(&begun.path);
    Ok(FormSuccess::with_message("Welcome to Wheelhouse"))
}

#[server(output = Postcard)]
pub async fn sign_in(#[server(default)] form: SignInForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let before = caller.visitor().await?;
    let begun = sessions::sign_in(caller.ctx(), caller.info(), &form.email, &form.password).await?;
    end_presented(&caller, before).await?;
    set_session_cookie(&caller, &begun.cookie);
    let path = if form.next.is_empty() {
        begun.path.as_str()
    } else {
        domain::session::own_path(&form.next)
    };
    leptos_axum::redirect(path);
    Ok(FormSuccess::with_message("Signed in"))
}

#[server(output = Postcard)]
pub async fn sign_out(next: Option<String>) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    if let Some(person) = caller.visitor().await? {
        sessions::sign_out(caller.ctx(), &person).await?;
    }
    clear_session_cookie(&caller);
    leptos_axum::redirect(next.as_deref().map_or("/login", domain::session::own_path));
    Ok(FormSuccess::with_message("Signed out"))
}

#[server(output = Postcard)]
pub async fn request_password_reset(
    #[server(default)] form: ForgotForm,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    sessions::request_reset(caller.ctx(), caller.info(), &form.email).await?;
    Ok(FormSuccess::with_message(
        "Check your email. If an account exists for this address, we've sent a reset link. It expires in 1 hour.",
    ))
}

#[server(output = Postcard)]
pub async fn reset_password(#[server(default)] form: ResetForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    if form.password != form.confirm {
        return Err(AppError::field("confirm", "Passwords don't match").into());
    }
    let before = caller.visitor().await?;
    sessions::reset_password(caller.ctx(), caller.info(), &form.token, &form.password).await?;
    end_presented(&caller, before).await?;
    clear_session_cookie(&caller);
    leptos_axum::redirect("/login");
    Ok(FormSuccess::with_message(
        "Password changed. Sign in with your new password.",
    ))
}

/// Whether a reset link still works, for its page.
#[server(output = Postcard)]
pub async fn check_reset_link(token: Secret) -> Result<bool, RpcError> {
    let caller = caller()?;
    caller.ctx().limits().token(caller.info().address)?;
    Ok(store::auth::links::peek(
        caller.ctx(),
        store::auth::links::LinkPurpose::ResetPassword,
        &token,
    )
    .await?
    .is_some())
}

/// What a link to `/confirm-email/…` does.
#[server(output = Postcard)]
pub async fn check_confirmation_link(token: Secret) -> Result<LinkKind, RpcError> {
    let caller = caller()?;
    caller.ctx().limits().token(caller.info().address)?;
    if store::auth::links::peek(
        caller.ctx(),
        store::auth::links::LinkPurpose::ConfirmEmail,
        &token,
    )
    .await?
    .is_some()
    {
        return Ok(LinkKind::ConfirmAddress);
    }
    Ok(store::account::link_kind(caller.ctx(), &token).await?)
}

/// Confirms an email address, confirms a changed one, or reverts a change, depending on the link.
#[server(output = Postcard)]
pub async fn confirm_email(#[server(default)] form: TokenForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    caller.ctx().limits().token(caller.info().address)?;
    let message = if sessions::confirm_address(caller.ctx(), &form.token).await? {
        // Their session can do more than before.
        if let Some(person) = caller.visitor().await? {
            sessions::renew(caller.ctx(), &person).await?;
        }
        "Email address confirmed"
    } else {
        store::account::follow_link(caller.ctx(), &form.token).await?
    };
    leptos_axum::redirect("/");
    Ok(FormSuccess::with_message(message))
}

#[server(output = Postcard)]
pub async fn resend_confirmation() -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    sessions::resend_confirmation(caller.ctx(), caller.info(), &caller.person().await?).await?;
    Ok(FormSuccess::with_message(
        "We sent you a new confirmation email",
    ))
}

/// Makes a session fresh for things that cannot ask for the password themselves: downloading a file, copying a link.
#[server(output = Postcard)]
pub async fn confirm_password(
    #[server(default)] form: ConfirmPasswordForm,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let person = caller.person().await?;
    sessions::confirm_identity(caller.ctx(), caller.info(), &person, &form.current_password)
        .await?;
    leptos_axum::redirect(domain::session::own_path(&form.next));
    Ok(FormSuccess::with_message("Password confirmed"))
}

#[server(output = Postcard)]
pub async fn load_invitation(token: Secret) -> Result<InvitationView, RpcError> {
    let caller = caller()?;
    let visitor = caller.visitor().await?;
    Ok(sessions::view_invitation(
        caller.ctx(),
        caller.info(),
        visitor.as_ref(),
        token.expose(),
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn accept_invitation(
    #[server(default)] form: AcceptForm,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let visitor = caller.visitor().await?;
    let accepting = match &visitor {
        Some(person) => sessions::Accepting::Person(person),
        None => sessions::Accepting::Newcomer {
            name: &form.name,
            password: &form.password,
        },
    };
    let (path, cookie) =
        sessions::accept_invitation(caller.ctx(), caller.info(), accepting, form.token.expose())
            .await?;
    match (cookie, &visitor) {
        (Some(cookie), _) => set_session_cookie(&caller, &cookie),
        // Their session can do more than before.
        (None, Some(person)) => sessions::renew(caller.ctx(), person).await?,
        (None, None) => {}
    }
    leptos_axum::redirect(&path);
    Ok(FormSuccess::with_message("Welcome to the workspace"))
}

/// Data for the layout around a workspace's pages: the user, their workspaces and what is unread.
#[server(output = Postcard)]
pub async fn load_surroundings(workspace: String) -> Result<LayoutData, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let person = actor.person();
    Ok(LayoutData {
        user: person.id(),
        name: person.name().to_owned(),
        email: person.email().clone(),
        confirmed: person.counts_as_confirmed(),
        fresh_until: person.fresh_until(),
        here: domain::session::WorkspaceMembership {
            id: actor.workspace(),
            name: actor.workspace_name().to_owned(),
            slug: actor.slug().clone(),
            role: actor.role(),
        },
        places: caller.places().await?,
        unread: store::inbox::unread(caller.ctx(), &actor).await?,
        frozen: actor.is_frozen(),
        demo: caller.ctx().site().demo,
    })
}

/// The target of `/`: the workspace used last, the page that creates one, or the sign-in page.
#[server(output = Postcard)]
pub async fn load_first_path() -> Result<String, RpcError> {
    let caller = caller()?;
    match caller.visitor().await? {
        Some(person) => Ok(sessions::first_path(caller.ctx(), person.id()).await?),
        None => Ok("/login".to_owned()),
    }
}

/// The session cookie's name. Under https, the prefix binds it to this host.
#[cfg(feature = "ssr")]
pub fn cookie_name(https: bool) -> &'static str {
    if https {
        "__Host-wheelhouse_session"
    } else {
        "wheelhouse_session"
    }
}

#[cfg(feature = "ssr")]
fn set_session_cookie(caller: &store::auth::Caller, value: &Secret) {
    let https = caller.ctx().site().is_https();
    write_cookie(&new_session_cookie(https, value));
}

#[cfg(feature = "ssr")]
fn clear_session_cookie(caller: &store::auth::Caller) {
    let https = caller.ctx().site().is_https();
    write_cookie(&session_cookie(https, "", "; Max-Age=0"));
}

/// Signing in ends the session that the browser had before, so nobody can continue in it.
#[cfg(feature = "ssr")]
async fn end_presented(
    caller: &store::auth::Caller,
    before: Option<store::auth::SignedInUser>,
) -> Result<(), AppError> {
    match before {
        Some(person) => sessions::sign_out(caller.ctx(), &person).await,
        None => Ok(()),
    }
}

/// The `Set-Cookie` value for the session cookie.
#[cfg(feature = "ssr")]
fn session_cookie(https: bool, value: &str, life: &str) -> String {
    let secure = if https { "; Secure" } else { "" };
    let name = cookie_name(https);
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{life}")
}

/// The header that gives a browser the token of its session.
#[cfg(feature = "ssr")]
pub fn new_session_cookie(https: bool, token: &Secret) -> String {
    let life = store::auth::SESSION_LIFE.as_secs();
    session_cookie(https, token.expose(), &format!("; Max-Age={life}"))
}

#[cfg(feature = "ssr")]
fn write_cookie(cookie: &str) {
    use axum::http::{HeaderValue, header::SET_COOKIE};
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        expect_context::<leptos_axum::ResponseOptions>().append_header(SET_COOKIE, cookie);
    }
}

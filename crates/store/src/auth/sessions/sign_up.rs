//! Creates accounts: for someone who signs up, and for the command line.

use domain::session::SignUp;
use domain::{AppError, Email, Name, Secret, Slug, Timestamp, UserId, fold};
use sea_orm::{ActiveModelTrait, Set};

use super::confirmation::send_confirmation;
use super::passwords::check_password_strength;
use super::session::{NewSession, open_session};
use super::workspaces::create_workspace;
use crate::auth::links;
use crate::auth::request::RequestInfo;
use crate::context::AppContext;
use crate::db::{Tx, entity, is_unique_violation};

/// Creates an account with a workspace of its own.
pub async fn sign_up(
    ctx: &AppContext,
    info: &RequestInfo,
    form: SignUp,
) -> Result<NewSession, AppError> {
    ctx.limits().sign_up(info.address)?;
    check_password_strength(
        ctx,
        "password",
        &form.password,
        form.name.as_str(),
        &form.email,
    )
    .await?;
    let hash = ctx.passwords().hash(&form.password).await?;
    let mut tx = ctx.db().begin().await?;
    let user = insert_user(&mut tx, &form.name, &form.email, hash, None).await?;
    let slug = create_workspace(
        &mut tx,
        ctx.catalog(),
        user,
        &form.name,
        &form.workspace,
        None,
    )
    .await?;
    send_confirmation(&mut tx, ctx, user, &form.email).await?;
    let cookie = open_session(&mut tx, info, user).await?;
    tx.commit().await?;
    Ok(NewSession {
        cookie,
        path: format!("/w/{slug}"),
    })
}

pub(super) async fn insert_user(
    tx: &mut Tx,
    name: &Name,
    email: &Email,
    password_hash: String,
    confirmed_at: Option<Timestamp>,
) -> Result<UserId, AppError> {
    let now = Timestamp::now();
    let id = UserId::new();
    let inserted = entity::user::ActiveModel {
        id: Set(id),
        email: Set(email.clone()),
        name: Set(name.to_string()),
        folded_name: Set(fold(name.as_str())),
        password_hash: Set(password_hash),
        email_confirmed_at: Set(confirmed_at),
        created_at: Set(now),
        updated_at: Set(now),
    }
    .insert(tx)
    .await;
    let taken = || {
        AppError::field(
            "email",
            "An account with this email already exists. Sign in instead.",
        )
    };
    match inserted {
        Ok(_) if links::is_held(tx, email, None).await? => Err(taken()),
        Ok(_) => Ok(id),
        Err(error) if is_unique_violation(&error) => Err(taken()),
        Err(error) => Err(error.into()),
    }
}

/// Creates an account and its workspace for the command line: the operator vouches for the email address.
pub async fn create_owner(
    ctx: &AppContext,
    name: &Name,
    email: &Email,
    password: &Secret,
    workspace: &Name,
    slug: &Slug,
) -> Result<(), AppError> {
    check_password_strength(ctx, "password", password, name.as_str(), email).await?;
    let hash = ctx.passwords().hash(password).await?;
    let mut tx = ctx.db().begin().await?;
    let user = insert_user(&mut tx, name, email, hash, Some(Timestamp::now())).await?;
    create_workspace(&mut tx, ctx.catalog(), user, name, workspace, Some(slug)).await?;
    tx.commit().await?;
    Ok(())
}

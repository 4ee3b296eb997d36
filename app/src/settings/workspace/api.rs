use domain::form::FormSuccess;
use domain::workspace::{
    DeleteWorkspaceForm, LeaveForm, NameForm, NewWorkspaceForm, SlugCheck, SlugForm, TransferForm,
    WorkspaceView,
};
use leptos::prelude::*;

use crate::rpc::{Postcard, RpcError};

#[cfg(feature = "ssr")]
use {
    crate::session::caller,
    domain::AppError,
    domain::{Name, Slug},
    store::workspace,
};

#[server(output = Postcard)]
pub async fn load_workspace(workspace: String) -> Result<WorkspaceView, RpcError> {
    let caller = caller()?;
    Ok(workspace::view(caller.ctx(), &caller.actor(&workspace).await?.permit()?).await?)
}

#[server(output = Postcard)]
pub async fn rename_workspace(#[server(default)] form: NameForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let name = Name::parse(&form.name).map_err(|error| AppError::field("name", error))?;
    Ok(workspace::rename(caller.ctx(), &actor.permit()?, name).await?)
}

#[server(output = Postcard)]
pub async fn undo_workspace_rename(
    workspace: String,
    event: String,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(workspace::undo_rename(
        caller.ctx(),
        &actor.permit()?,
        event.parse().map_err(|_| AppError::NotFound)?,
    )
    .await?)
}

/// Whether a slug is available, while it is typed.
#[server(output = Postcard)]
pub async fn check_slug(workspace: String, slug: String) -> Result<SlugCheck, RpcError> {
    let caller = caller()?;
    let person = caller.person().await?;
    caller.ctx().limits().slug_lookup(person.id())?;
    let actor = if workspace.is_empty() {
        None
    } else {
        Some(caller.actor(&workspace).await?)
    };
    Ok(workspace::check_slug(caller.ctx(), actor.as_ref(), &slug).await?)
}

#[server(output = Postcard)]
pub async fn update_workspace_url(
    #[server(default)] form: SlugForm,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let moved = async {
        let slug = Slug::parse(&form.slug).map_err(|error| AppError::field("slug", error))?;
        let done = workspace::move_to(caller.ctx(), &actor.permit()?, slug.clone()).await?;
        Ok((slug, done))
    };
    let (slug, done) = match moved.await {
        Ok(moved) => moved,
        Err(error) => {
            let error = workspace::with_free_slug(caller.ctx(), Some(&actor), &form.slug, error);
            return Err(error.await.into());
        }
    };
    leptos_axum::redirect(&format!("/w/{slug}/settings/workspace"));
    Ok(done)
}

#[server(output = Postcard)]
pub async fn undo_workspace_url(workspace: String, event: String) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let slug = workspace::undo_move(
        caller.ctx(),
        &actor.permit()?,
        event.parse().map_err(|_| AppError::NotFound)?,
    )
    .await?;
    leptos_axum::redirect(&format!("/w/{slug}/settings/workspace"));
    Ok(FormSuccess::with_message(format!(
        "URL changed back to /w/{slug}"
    )))
}

/// Whether the person can create a workspace: it takes a confirmed email address.
#[server(output = Postcard)]
pub async fn load_new_workspace() -> Result<bool, RpcError> {
    Ok(caller()?.person().await?.counts_as_confirmed())
}

#[server(output = Postcard)]
pub async fn create_workspace(
    #[server(default)] form: NewWorkspaceForm,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let person = caller.person().await?;
    let slug = match workspace::create(caller.ctx(), &person, &form).await {
        Ok(slug) => slug,
        Err(error) => {
            let error = workspace::with_free_slug(caller.ctx(), None, &form.slug, error);
            return Err(error.await.into());
        }
    };
    leptos_axum::redirect(&format!("/w/{slug}"));
    Ok(FormSuccess::with_message("Workspace created"))
}

#[server(output = Postcard)]
pub async fn leave_workspace(#[server(default)] form: LeaveForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    workspace::leave(caller.ctx(), &actor, &form.slug).await?;
    leptos_axum::redirect("/");
    Ok(FormSuccess::with_message(format!(
        "You left {}",
        actor.workspace_name()
    )))
}

#[server(output = Postcard)]
pub async fn transfer_ownership(
    #[server(default)] form: TransferForm,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let heir = form
        .member
        .parse()
        .map_err(|_| AppError::field("member", "Choose a member"))?;
    Ok(workspace::transfer(
        caller.ctx(),
        caller.info(),
        &actor.permit()?,
        heir,
        &form.slug,
        &form.current_password,
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn delete_workspace(
    #[server(default)] form: DeleteWorkspaceForm,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    workspace::delete(
        caller.ctx(),
        caller.info(),
        &actor.permit()?,
        &form.slug,
        &form.current_password,
    )
    .await?;
    leptos_axum::redirect("/");
    Ok(FormSuccess::with_message(format!(
        "{} was deleted",
        actor.workspace_name()
    )))
}

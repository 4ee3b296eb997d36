use leptos::prelude::*;

use super::model::{
    DeleteWorkspaceForm, LeaveForm, NameForm, NewWorkspaceForm, SlugCheck, SlugForm, TransferForm,
    WorkspaceView,
};
use crate::domain::AppError;
use crate::form::FormSuccess;
use crate::rpc::Postcard;

#[cfg(feature = "ssr")]
use {
    super::store,
    crate::domain::{Name, Slug},
    crate::session::caller,
};

#[server(output = Postcard)]
pub async fn load_workspace(workspace: String) -> Result<WorkspaceView, AppError> {
    let caller = caller()?;
    store::view(caller.ctx(), &caller.actor(&workspace).await?).await
}

#[server(output = Postcard)]
pub async fn rename_workspace(#[server(default)] form: NameForm) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let name = Name::parse(&form.name).map_err(|error| AppError::field("name", error))?;
    store::rename(caller.ctx(), &actor, name).await
}

#[server(output = Postcard)]
pub async fn undo_workspace_rename(
    workspace: String,
    event: String,
) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    store::undo_rename(
        caller.ctx(),
        &actor,
        event.parse().map_err(|_| AppError::NotFound)?,
    )
    .await
}

/// Whether a slug is available, while it is typed.
#[server(output = Postcard)]
pub async fn check_slug(workspace: String, slug: String) -> Result<SlugCheck, AppError> {
    let caller = caller()?;
    let person = caller.person().await?;
    caller.ctx().limits().slug_lookup(person.id())?;
    let actor = if workspace.is_empty() {
        None
    } else {
        Some(caller.actor(&workspace).await?)
    };
    store::check_slug(caller.ctx(), actor.as_ref(), &slug).await
}

#[server(output = Postcard)]
pub async fn update_workspace_url(
    #[server(default)] form: SlugForm,
) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let moved = async {
        let slug = Slug::parse(&form.slug).map_err(|error| AppError::field("slug", error))?;
        let done = store::move_to(caller.ctx(), &actor, slug.clone()).await?;
        Ok((slug, done))
    };
    let (slug, done) = match moved.await {
        Ok(moved) => moved,
        Err(error) => {
            return Err(store::with_free_slug(caller.ctx(), Some(&actor), &form.slug, error).await);
        }
    };
    leptos_axum::redirect(&format!("/w/{slug}/settings/workspace"));
    Ok(done)
}

#[server(output = Postcard)]
pub async fn undo_workspace_url(workspace: String, event: String) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let slug = store::undo_move(
        caller.ctx(),
        &actor,
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
pub async fn load_new_workspace() -> Result<bool, AppError> {
    Ok(caller()?.person().await?.counts_as_confirmed())
}

#[server(output = Postcard)]
pub async fn create_workspace(
    #[server(default)] form: NewWorkspaceForm,
) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let person = caller.person().await?;
    let slug = match store::create(caller.ctx(), &person, &form).await {
        Ok(slug) => slug,
        Err(error) => {
            return Err(store::with_free_slug(caller.ctx(), None, &form.slug, error).await);
        }
    };
    leptos_axum::redirect(&format!("/w/{slug}"));
    Ok(FormSuccess::with_message("Workspace created"))
}

#[server(output = Postcard)]
pub async fn leave_workspace(#[server(default)] form: LeaveForm) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    store::leave(caller.ctx(), &actor, &form.slug).await?;
    leptos_axum::redirect("/");
    Ok(FormSuccess::with_message(format!(
        "You left {}",
        actor.workspace_name()
    )))
}

#[server(output = Postcard)]
pub async fn transfer_ownership(
    #[server(default)] form: TransferForm,
) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let heir = form
        .member
        .parse()
        .map_err(|_| AppError::field("member", "Choose a member"))?;
    store::transfer(
        caller.ctx(),
        caller.info(),
        &actor,
        heir,
        &form.slug,
        &form.current_password,
    )
    .await
}

#[server(output = Postcard)]
pub async fn delete_workspace(
    #[server(default)] form: DeleteWorkspaceForm,
) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    store::delete(
        caller.ctx(),
        caller.info(),
        &actor,
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

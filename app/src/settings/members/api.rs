use leptos::prelude::*;

use super::model::{InviteForm, MembersView, RoleForm};
use crate::domain::AppError;
use crate::form::FormSuccess;
use crate::rpc::Postcard;

#[cfg(feature = "ssr")]
use {
    super::{invitations, model::Status, store},
    crate::session::caller,
};

/// `status`, `search`, `after` (of members) and `before` (of invitations) as they stand in the address.
#[server(output = Postcard)]
pub async fn load_members(
    workspace: String,
    status: String,
    search: String,
    after: String,
    before: String,
) -> Result<MembersView, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    store::view(
        caller.ctx(),
        &actor,
        Status::parse(&status),
        &search,
        after.parse().ok(),
        before.parse().ok(),
    )
    .await
}

#[server(output = Postcard)]
pub async fn invite_members(#[server(default)] form: InviteForm) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let role = form.role().map_err(AppError::Invalid)?;
    invitations::invite(caller.ctx(), &actor, &form.email, role).await
}

#[server(output = Postcard)]
pub async fn resend_invitation(
    workspace: String,
    invitation: String,
) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let id = invitation.parse().map_err(|_| AppError::NotFound)?;
    invitations::resend(caller.ctx(), &actor, id).await
}

#[server(output = Postcard)]
pub async fn cancel_invitation(
    workspace: String,
    invitation: String,
) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    invitations::cancel(
        caller.ctx(),
        &actor,
        invitation.parse().map_err(|_| AppError::NotFound)?,
    )
    .await
}

#[server(output = Postcard)]
pub async fn undo_cancel_invitation(
    workspace: String,
    event: String,
) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    invitations::undo_cancel(
        caller.ctx(),
        &actor,
        event.parse().map_err(|_| AppError::NotFound)?,
    )
    .await
}

#[server(output = Postcard)]
pub async fn change_role(#[server(default)] form: RoleForm) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let member = form.member.parse().map_err(|_| AppError::NotFound)?;
    let role = form
        .role
        .parse()
        .map_err(|error| AppError::field("role", error))?;
    store::change_role(
        caller.ctx(),
        caller.info(),
        &actor,
        member,
        role,
        &form.current_password,
    )
    .await
}

#[server(output = Postcard)]
pub async fn undo_change_role(workspace: String, event: String) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    store::undo_change_role(
        caller.ctx(),
        &actor,
        event.parse().map_err(|_| AppError::NotFound)?,
    )
    .await
}

#[server(output = Postcard)]
pub async fn remove_member(workspace: String, member: String) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    store::remove(
        caller.ctx(),
        &actor,
        member.parse().map_err(|_| AppError::NotFound)?,
    )
    .await
}

#[server(output = Postcard)]
pub async fn undo_remove_member(workspace: String, event: String) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    store::undo_remove(
        caller.ctx(),
        &actor,
        event.parse().map_err(|_| AppError::NotFound)?,
    )
    .await
}

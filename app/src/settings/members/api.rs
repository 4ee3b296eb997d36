use domain::form::FormSuccess;
use domain::members::{InviteForm, MembersView, RoleForm};
use leptos::prelude::*;

use crate::rpc::{Postcard, RpcError};

#[cfg(feature = "ssr")]
use {
    crate::session::caller,
    domain::AppError,
    domain::members::Status,
    store::members::{self, invitations},
};

/// `status`, `search`, `after` (of members) and `before` (of invitations) as they stand in the address.
#[server(output = Postcard)]
pub async fn load_members(
    workspace: String,
    status: String,
    search: String,
    after: String,
    before: String,
) -> Result<MembersView, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(members::view(
        caller.ctx(),
        &actor.permit()?,
        Status::parse(&status),
        &search,
        after.parse().ok(),
        before.parse().ok(),
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn invite_members(#[server(default)] form: InviteForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let role = form.role().map_err(AppError::Invalid)?;
    Ok(invitations::invite(caller.ctx(), &actor.permit()?, &form.email, role).await?)
}

#[server(output = Postcard)]
pub async fn resend_invitation(
    workspace: String,
    invitation: String,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let id = invitation.parse().map_err(|_| AppError::NotFound)?;
    Ok(invitations::resend(caller.ctx(), &actor.permit()?, id).await?)
}

#[server(output = Postcard)]
pub async fn cancel_invitation(
    workspace: String,
    invitation: String,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(invitations::cancel(
        caller.ctx(),
        &actor.permit()?,
        invitation.parse().map_err(|_| AppError::NotFound)?,
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn undo_cancel_invitation(
    workspace: String,
    event: String,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(invitations::undo_cancel(
        caller.ctx(),
        &actor.permit()?,
        event.parse().map_err(|_| AppError::NotFound)?,
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn change_role(#[server(default)] form: RoleForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let member = form.member.parse().map_err(|_| AppError::NotFound)?;
    let role = form
        .role
        .parse()
        .map_err(|error| AppError::field("role", error))?;
    Ok(members::change_role(
        caller.ctx(),
        caller.info(),
        &actor.permit()?,
        member,
        role,
        &form.current_password,
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn undo_change_role(workspace: String, event: String) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(members::undo_change_role(
        caller.ctx(),
        &actor.permit()?,
        event.parse().map_err(|_| AppError::NotFound)?,
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn remove_member(workspace: String, member: String) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(members::remove(
        caller.ctx(),
        &actor.permit()?,
        member.parse().map_err(|_| AppError::NotFound)?,
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn undo_remove_member(workspace: String, event: String) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(members::undo_remove(
        caller.ctx(),
        &actor.permit()?,
        event.parse().map_err(|_| AppError::NotFound)?,
    )
    .await?)
}

use domain::api_keys::{CreateForm, KeyNameForm, KeyView, KeysView, RotateForm, ScopesForm};
use domain::form::FormSuccess;
use leptos::prelude::*;

use crate::rpc::{Postcard, RpcError};

#[cfg(feature = "ssr")]
use {
    crate::session::caller,
    domain::AppError,
    domain::{
        ApiKeyId, FieldErrors, Name, Timestamp,
        api_keys::{Filter, Grace, read_scopes},
    },
    store::api_keys::{self, views},
};

/// `status`, `mode`, `search` and `before` are the query parameters of the page.
#[server(output = Postcard)]
pub async fn load_api_keys(
    workspace: String,
    status: String,
    mode: String,
    search: String,
    before: String,
) -> Result<KeysView, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let asked = views::KeyListQuery {
        filter: Some(Filter::read(&status)),
        mode: mode.parse().ok(),
        search,
        before: before.parse().ok(),
    };
    Ok(views::list(caller.ctx(), &actor.permit_read()?, &asked).await?)
}

#[server(output = Postcard)]
pub async fn load_api_key(
    workspace: String,
    key: String,
    before: String,
) -> Result<KeyView, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(views::find(
        caller.ctx(),
        &actor.permit_read()?,
        key_id(&key)?,
        before.parse().ok(),
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn create_api_key(#[server(default)] form: CreateForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    actor.require(domain::Permission::ManageApiKeys)?;
    // Without scripts, Select All was pressed: the form comes back as it was, with those scopes checked.
    if !form.select.is_empty() {
        return Err(AppError::Invalid(FieldErrors::new()).into());
    }
    let wish = form.parse(Timestamp::now()).map_err(AppError::Invalid)?;
    let networks = api_keys::read_networks(&form.networks)?;
    let done = api_keys::create(
        caller.ctx(),
        caller.info(),
        &actor.permit()?,
        wish,
        networks,
        &form.current_password,
    )
    .await?;
    leptos_axum::redirect(&format!("/w/{}/settings/api-keys", actor.slug()));
    Ok(done)
}

#[server(output = Postcard)]
pub async fn rotate_api_key(#[server(default)] form: RotateForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let grace: Grace = form
        .grace
        .parse()
        .map_err(|_| AppError::field("grace", "Choose when the old key expires"))?;
    Ok(api_keys::rotate(
        caller.ctx(),
        caller.info(),
        &actor.permit()?,
        key_id(&form.key)?,
        grace,
        &form.current_password,
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn finish_api_key_rotation(
    workspace: String,
    key: String,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(
        api_keys::finish_rotation(caller.ctx(), caller.info(), &actor.permit()?, key_id(&key)?)
            .await?,
    )
}

#[server(output = Postcard)]
pub async fn revoke_api_key(#[server(default)] form: KeyNameForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let key = key_id(&form.key)?;
    Ok(api_keys::revoke(
        caller.ctx(),
        caller.info(),
        &actor.permit()?,
        key,
        &form.name,
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn rename_api_key(#[server(default)] form: KeyNameForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let name = Name::parse(&form.name).map_err(|error| AppError::field("name", error))?;
    Ok(api_keys::rename(
        caller.ctx(),
        caller.info(),
        &actor.permit()?,
        key_id(&form.key)?,
        name,
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn narrow_api_key(#[server(default)] form: ScopesForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let keep = read_scopes(&form.scopes).map_err(|error| AppError::field("scopes", error))?;
    Ok(api_keys::narrow(
        caller.ctx(),
        caller.info(),
        &actor.permit()?,
        key_id(&form.key)?,
        keep,
    )
    .await?)
}

#[cfg(feature = "ssr")]
fn key_id(text: &str) -> Result<ApiKeyId, AppError> {
    text.parse().map_err(|_| AppError::NotFound)
}

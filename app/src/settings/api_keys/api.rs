use leptos::prelude::*;

use super::model::{CreateForm, KeyNameForm, KeyView, KeysView, RotateForm, ScopesForm};
use crate::domain::AppError;
use crate::form::FormSuccess;
use crate::rpc::Postcard;

#[cfg(feature = "ssr")]
use {
    super::model::{Filter, Grace, read_scopes},
    super::{store, views},
    crate::domain::{ApiKeyId, FieldErrors, Name, Timestamp},
    crate::session::caller,
};

/// `status`, `mode`, `search` and `before` are the query parameters of the page.
#[server(output = Postcard)]
pub async fn load_api_keys(
    workspace: String,
    status: String,
    mode: String,
    search: String,
    before: String,
) -> Result<KeysView, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let asked = views::KeyListQuery {
        filter: Some(Filter::read(&status)),
        mode: mode.parse().ok(),
        search,
        before: before.parse().ok(),
    };
    views::list(caller.ctx(), &actor, &asked).await
}

#[server(output = Postcard)]
pub async fn load_api_key(
    workspace: String,
    key: String,
    before: String,
) -> Result<KeyView, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    views::find(caller.ctx(), &actor, key_id(&key)?, before.parse().ok()).await
}

#[server(output = Postcard)]
pub async fn create_api_key(#[server(default)] form: CreateForm) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    actor.require(crate::domain::Permission::ManageApiKeys)?;
    // Without scripts, Select All was pressed: the form comes back as it was, with those scopes checked.
    if !form.select.is_empty() {
        return Err(AppError::Invalid(FieldErrors::new()));
    }
    let wish = form.parse(Timestamp::now()).map_err(AppError::Invalid)?;
    let networks = store::read_networks(&form.networks)?;
    let done = store::create(
        caller.ctx(),
        caller.info(),
        &actor,
        wish,
        networks,
        &form.current_password,
    )
    .await?;
    leptos_axum::redirect(&format!("/w/{}/settings/api-keys", actor.slug()));
    Ok(done)
}

#[server(output = Postcard)]
pub async fn rotate_api_key(#[server(default)] form: RotateForm) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let grace: Grace = form
        .grace
        .parse()
        .map_err(|_| AppError::field("grace", "Choose when the old key expires"))?;
    store::rotate(
        caller.ctx(),
        caller.info(),
        &actor,
        key_id(&form.key)?,
        grace,
        &form.current_password,
    )
    .await
}

#[server(output = Postcard)]
pub async fn finish_api_key_rotation(
    workspace: String,
    key: String,
) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    store::finish_rotation(caller.ctx(), caller.info(), &actor, key_id(&key)?).await
}

#[server(output = Postcard)]
pub async fn revoke_api_key(#[server(default)] form: KeyNameForm) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let key = key_id(&form.key)?;
    store::revoke(caller.ctx(), caller.info(), &actor, key, &form.name).await
}

#[server(output = Postcard)]
pub async fn rename_api_key(#[server(default)] form: KeyNameForm) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let name = Name::parse(&form.name).map_err(|error| AppError::field("name", error))?;
    store::rename(
        caller.ctx(),
        caller.info(),
        &actor,
        key_id(&form.key)?,
        name,
    )
    .await
}

#[server(output = Postcard)]
pub async fn narrow_api_key(#[server(default)] form: ScopesForm) -> Result<FormSuccess, AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let keep = read_scopes(&form.scopes).map_err(|error| AppError::field("scopes", error))?;
    store::narrow(
        caller.ctx(),
        caller.info(),
        &actor,
        key_id(&form.key)?,
        keep,
    )
    .await
}

#[cfg(feature = "ssr")]
fn key_id(text: &str) -> Result<ApiKeyId, AppError> {
    text.parse().map_err(|_| AppError::NotFound)
}

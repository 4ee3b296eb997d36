//! Creates workspaces.

use domain::workspace::NewWorkspaceForm;
use domain::{AppError, FieldErrors, Name, Slug};

use crate::auth::{SignedInUser, sessions};
use crate::context::AppContext;

pub async fn create(
    ctx: &AppContext,
    person: &SignedInUser,
    form: &NewWorkspaceForm,
) -> Result<Slug, AppError> {
    person.require_confirmed()?;
    let mut errors = FieldErrors::new();
    let name = errors.check("name", Name::parse(&form.name));
    let wish = match form.slug.trim() {
        "" => None,
        text => errors.check("slug", Slug::parse(text)),
    };
    let Some(name) = name.filter(|_| errors.is_empty()) else {
        return Err(AppError::Invalid(errors));
    };
    ctx.limits().workspace_create(person.id())?;
    let owner = Name::parse(person.name()).map_err(|_| AppError::Malformed)?;
    let mut tx = ctx.db().begin().await?;
    let slug = sessions::create_workspace(
        &mut tx,
        ctx.catalog(),
        person.id(),
        &owner,
        &name,
        wish.as_ref(),
    )
    .await?;
    tx.commit().await?;
    Ok(slug)
}

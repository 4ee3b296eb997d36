//! Whether a slug can be used, and which one is free instead.

use domain::workspace::{SLUG_HOLD, SlugCheck};
use domain::{AppError, FieldErrors, Slug, SlugError, Timestamp};
use sea_orm::EntityTrait;

use crate::auth::{Actor, sessions};
use crate::context::AppContext;
use crate::db::entity;

pub async fn check_slug(
    ctx: &AppContext,
    actor: Option<&Actor>,
    text: &str,
) -> Result<SlugCheck, AppError> {
    let no = |reason: SlugError, suggestion| SlugCheck::No {
        reason: reason.to_string(),
        suggestion,
    };
    let slug = match Slug::parse(text) {
        Ok(slug) => slug,
        Err(SlugError::Empty) => return Ok(no(SlugError::Empty, None)),
        Err(error) => {
            let free = sessions::free_slug(ctx.db().read(), &Slug::suggest(text)).await?;
            return Ok(no(error, Some(free)));
        }
    };
    if actor.is_some_and(|actor| *actor.slug() == slug) {
        return Ok(SlugCheck::Current);
    }
    let claim = entity::SlugClaim::find_by_id(slug.clone())
        .one(ctx.db().read())
        .await?;
    let free = claim.is_none_or(|claim| {
        let own = actor.is_some_and(|actor| claim.workspace_id == Some(actor.workspace()));
        let lapsed = claim
            .released_at
            .is_some_and(|at| at < Timestamp::now().before(SLUG_HOLD));
        own || lapsed
    });
    if free {
        return Ok(SlugCheck::Free);
    }
    let suggestion = sessions::free_slug(ctx.db().read(), &slug).await?;
    Ok(SlugCheck::No {
        reason: "That URL is taken".to_owned(),
        suggestion: Some(suggestion),
    })
}

/// What is wrong with a slug, with one that is available, in the same words as while typing.
pub async fn with_free_slug(
    ctx: &AppContext,
    actor: Option<&Actor>,
    typed: &str,
    error: AppError,
) -> AppError {
    let AppError::Invalid(errors) = &error else {
        return error;
    };
    if errors.get("slug").is_none() {
        return error;
    }
    let Ok(SlugCheck::No {
        reason,
        suggestion: Some(free),
    }) = check_slug(ctx, actor, typed).await
    else {
        return error;
    };
    let mut offering = FieldErrors::new();
    offering.add("slug", format!("{reason}. Try {free}."));
    for (field, message) in errors.iter() {
        offering.add(field, message);
    }
    AppError::Invalid(offering)
}

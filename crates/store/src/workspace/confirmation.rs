//! The confirmation of what cannot be undone.

use domain::AppError;

use crate::auth::Actor;

/// What cannot be undone requires typing the workspace's slug.
pub(super) fn confirm_by_slug(actor: &Actor, typed: &str) -> Result<(), AppError> {
    if typed.trim() == actor.slug().as_str() {
        Ok(())
    } else {
        let message = format!("Type {} to confirm", actor.slug());
        Err(AppError::field("slug", message))
    }
}
